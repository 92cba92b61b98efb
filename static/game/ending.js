// What is left of a game: the ranking, and the card to save or to share. Nothing is stored or sent unless the player does it.
import { download, stamp } from "../download.js";
import { badge, svg } from "../people/badges.js";
import { drawCard } from "./card.js";
import { deed, headline, name } from "./words.js";

const $ = (id) => document.getElementById(id);
const card = $("card");
let made = null; // {blob, name} of the card

// `moment`: {picture, faces} or null.
export async function showEnding(game, moment) {
  const { players, fellBy } = game.result, said = headline(game);
  $("ranking").replaceChildren(...(game.alone ? [] : players.map((one) => listed(game, one))));
  $("ranking").hidden = game.alone;
  const joke = fellBy?.text.replace(/\s+/g, " ").trim() ?? "", why = game.alone ? "It was this joke:" : "Decided by this joke:";
  await drawCard(card, {
    moment,
    headline: said,
    joke,
    why,
    players: players.map(({ player, place }) => ({ slot: player.slot, place })),
    date: new Date().toLocaleDateString(undefined, { dateStyle: "long" }),
  });
  card.setAttribute("aria-label", ["Result card.", said, ...(joke ? [why, joke] : [])].join(" "));
  const blob = await new Promise((resolve) => card.toBlob(resolve, "image/jpeg", 0.92));
  if (game.phase !== "over") return;
  made = blob && new File([blob], `straight-face-${stamp(new Date())}.jpg`, { type: "image/jpeg" });
  card.hidden = false;
  $("save").hidden = !made;
  $("share").hidden = !made || !navigator.canShare?.({ files: [made] });
}

// The moment is forgotten.
export function clearEnding() {
  made = null;
  card.hidden = true;
  card.width = card.height = 1;
  $("save").hidden = $("share").hidden = true;
  $("card-news").textContent = "";
}

export function startEnding() {
  $("save").addEventListener("click", save);
  $("share").addEventListener("click", share);
}

function listed(game, { player, place, survived }) {
  const item = document.createElement("li");
  const mark = svg("svg", { viewBox: "-1 -1 26 26", class: "mark", "aria-hidden": "true", focusable: "false" }, badge(player.slot));
  const who = Object.assign(document.createElement("strong"), { textContent: name(player) });
  const what = Object.assign(document.createElement("span"), { textContent: deed(game, { player, survived }) });
  item.value = place;
  item.append(mark, who, " ", what);
  return item;
}

function save() {
  download(made, made.name);
  $("card-news").textContent = "The card is downloaded.";
}

async function share() {
  try {
    await navigator.share({ files: [made], title: "Keep a straight face" });
  } catch (error) {
    if (error.name !== "AbortError") $("card-news").textContent = "The card could not be shared. Save it instead.";
  }
}
