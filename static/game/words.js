// What is said of a game, in words.
import { percent } from "../meter/percent.js";

export const name = ({ slot }) => `Player ${slot}`;

const counted = (count) => `${count} ${count === 1 ? "joke" : "jokes"}`;

// "Player 1", "Player 1 and player 3", "Player 1, player 2 and player 3".
export function names(players) {
  const all = [...players].sort((a, b) => a.slot - b.slot).map((player, i) => (i ? name(player).toLowerCase() : name(player)));
  return all.length < 2 ? all.join("") : `${all.slice(0, -1).join(", ")} and ${all.at(-1)}`;
}

// Of a game that is over, in a line.
export function headline(game) {
  const { winners, survived } = game.result, everyone = game.players.all;
  if (game.alone) {
    if (survived === game.jokes) return `Not a smile in ${counted(game.jokes)}. Stone face!`;
    return survived ? `You survived ${survived} of ${counted(game.jokes)}.` : "The first joke got you.";
  }
  if (winners.length === 1) return `${name(winners[0])} wins${everyone.length === 2 ? " the duel" : ""}!`;
  if (winners.every(({ out }) => out)) return `${names(winners)} smiled at once: a draw.`;
  return everyone.length === winners.length && winners.length === 2 ? "Both kept a straight face: a draw." : `${names(winners)} win.`;
}

// What a player did, in a few words.
export function deed(game, { player, survived }) {
  const highest = `at most ${percent(player.peak)} %`;
  if (!player.out) return game.alone ? highest : `kept a straight face, ${highest}`;
  if (player.out.why === "left") return `left at joke ${player.out.joke}`;
  return `smiled at joke ${survived + 1}, ${percent(player.out.smile)} %`;
}

// Whoever is out now.
export function fell(game) {
  if (game.alone) return "You smiled!";
  return `${names(game.fallen)} smiled!`;
}

// Whoever was out of view for too long.
export function left(players) {
  const [was, is] = players.length > 1 ? ["were", "are"] : ["was", "is"];
  return `${names(players)} ${was} away for too long and ${is} out.`;
}

// Why Dad waits, or what he asks for; "" if nothing.
export function wish(game, now) {
  const why = game.waitsFor(now);
  if (!["calming", "breath", "telling"].includes(game.phase)) return "";
  if (why === "camera") return "Dad waits for a picture.";
  if (why === "players") {
    if (game.alone) return "Dad waits: come back into view.";
    return `Dad waits for ${names(game.players.missing(now)).toLowerCase()}.`;
  }
  if (game.phase !== "calming") return "";
  const grinning = game.players.all.filter(({ rest, neutral }) => rest.grins && neutral === null);
  if (!game.players.all.length) return "Show your faces to the camera.";
  if (!grinning.length) return "";
  return game.players.all.length === 1 ? "Stop smiling first." : `${names(grinning)}: stop smiling first.`;
}
