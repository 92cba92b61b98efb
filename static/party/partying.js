export const partying = () => document.body.classList.contains("party");
