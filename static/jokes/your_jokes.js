// The jokes that a visitor keeps, and those that are not funny and not told here again. Both lists stay on the device.
import { copyText } from "../copying.js";
import { favourites, notFunny } from "../kept/joke_list.js";
import { toast } from "../toast.js";
import { tellAnother, toldJoke } from "./jokes.js";

const $ = (id) => document.getElementById(id);
const heart = $("favourite");

export function startYourJokes() {
  heart.addEventListener("click", keepOrNot);
  $("not-funny").addEventListener("click", hide);
  $("copy").addEventListener("click", () => copy($("joke"), $("copy")));
  $("hidden-clear").addEventListener("click", tellAllAgain);
  document.addEventListener("telling", draw);
  document.addEventListener("kept", draw);
  window.addEventListener("storage", draw); // another tab
  draw();
}

function keepOrNot() {
  const joke = toldJoke();
  if (!joke) return;
  if (favourites.has(joke)) return forgetFavourite(joke);
  if (favourites.full) return toast(`You keep ${favourites.most} jokes already; remove one below, under Your jokes.`);
  favourites.add(joke);
  toast("The joke is kept below, under Your jokes.");
  draw();
}

function forgetFavourite(joke) {
  const before = favourites.all;
  favourites.remove(joke);
  draw();
  toast("The joke is removed from yours.", () => {
    favourites.replace(before);
    draw();
  });
}

function hide() {
  const joke = toldJoke();
  if (!joke) return;
  notFunny.add(joke);
  draw();
  toast("Dad won't tell that one here again.", () => tellAgain(joke));
  tellAnother();
}

function tellAgain(joke) {
  notFunny.remove(joke);
  draw();
  toast("Dad may tell it here again.");
}

function tellAllAgain() {
  const before = notFunny.all;
  notFunny.clear();
  draw();
  $("your-jokes").querySelector("summary").focus(); // the button is gone
  toast("Dad may tell all jokes here again.", () => {
    notFunny.replace(before);
    draw();
  });
}

async function copy(text, button) {
  toast((await copyText(text)) ? "The joke is copied." : "Press Ctrl+C to copy the joke.");
  button.focus({ preventScroll: true });
}

function draw() {
  const joke = toldJoke(), liked = favourites.all, hidden = notFunny.all;
  heart.setAttribute("aria-pressed", Boolean(joke) && favourites.has(joke));
  const counts = [[liked, "kept"], [hidden, "hidden"]].filter(([jokes]) => jokes.length).map(([jokes, how]) => `${jokes.length} ${how}`);
  $("your-jokes-short").textContent = counts.join(", ");
  $("no-favourites").hidden = liked.length > 0;
  $("favourites").hidden = !liked.length;
  $("hidden-jokes").hidden = !hidden.length;
  list($("favourites"), liked, "Remove", forgetFavourite);
  list($("hidden-list"), hidden, "Tell again", tellAgain);
}

// Items stay what they are, so that the keyboard's focus does.
function list(element, jokes, word, act) {
  const before = new Map([...element.children].map((item) => [item.dataset.key, item]));
  const items = jokes.map((joke) => before.get(keyOf(joke)) ?? listed(joke, word, act));
  const gone = [...element.children].findIndex((item) => !items.includes(item) && item.contains(document.activeElement));
  if (items.length !== before.size || items.some((item, i) => item !== element.children[i])) element.replaceChildren(...items);
  if (gone >= 0) (items[Math.min(gone, items.length - 1)]?.querySelector(".remove") ?? $("your-jokes").querySelector("summary")).focus();
}

function listed(joke, word, act) {
  const item = $("listed-joke").content.cloneNode(true).firstElementChild, text = item.querySelector("p");
  item.dataset.key = keyOf(joke);
  text.textContent = joke.text;
  const [copying, removing] = item.querySelectorAll("button");
  copying.setAttribute("aria-label", `Copy: ${joke.text}`);
  copying.addEventListener("click", () => copy(text, copying));
  removing.textContent = word;
  removing.setAttribute("aria-label", `${word}: ${joke.text}`);
  removing.addEventListener("click", () => act(joke));
  return item;
}

const keyOf = ({ source, id }) => `${source} ${id}`;
