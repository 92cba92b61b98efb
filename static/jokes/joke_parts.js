// Where a joke's punchline begins.
const QUESTION = /^(.*?\?+["'”’)]*)\s+(\S.*)$/s; // after the first question
const KNOCK = /^(.*\?+["'”’)]*)\s+(\S.*)$/s; // after the last: who's there is asked before who it is
const PAUSE = /^(.*?(?:\.{3,}|…)["'”’)]*)\s*(\S.*)$/s;

// [set-up, punchline]; the punchline is "" where the joke has no clear break. Together they are the joke.
export function splitJoke(text) {
  const joke = text.trim();
  const lines = joke.split(/\s*\n+\s*/);
  if (lines.length > 1) return checked([lines.slice(0, -1).join(" "), lines.at(-1)], joke);
  const found = (/^knock,? knock/i.test(joke) ? KNOCK : QUESTION).exec(joke) ?? PAUSE.exec(joke);
  return checked(found ? [found[1], found[2]] : [joke, ""], joke);
}

// A part needs a word.
function checked([setUp, punchline], joke) {
  const word = /[\p{L}\p{N}]/u;
  const parted = word.test(setUp) && word.test(punchline) && /\s/.test(setUp);
  return parted ? [setUp, punchline] : [joke.replace(/\s*\n+\s*/g, " "), ""];
}
