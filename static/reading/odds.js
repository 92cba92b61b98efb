// Probabilities as log-odds, in which evidence adds up, as faces/odds.py has them.
export function logOdds(probability, least = 1e-6) {
  const kept = Math.min(Math.max(probability, least), 1 - least);
  return Math.log(kept / (1 - kept));
}

export const probability = (odds) => 1 / (1 + Math.exp(-odds));
