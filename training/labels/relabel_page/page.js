// A contact sheet of doubtful faces. Every decision is on the disk before its badge stops saying "saving".
const PAGE = 24
const WORDS = {smile: 'Smile', no_smile: 'No smile', drop: 'Dropped', skip: 'Skipped', automatic: 'Dropped automatically'}
const LABELS = {smile: 'smile', no_smile: 'no smile'}
const KEYS = {s: 'smile', n: 'no_smile', d: 'drop', k: 'skip', ' ': 'skip'}

const $ = (id) => document.getElementById(id)
const grid = $('faces')
let pages = [] // of clusters of faces
let faces = [] // by number
let decided = {} // number -> choice
let page = 0
let current = 0
let writing = Promise.resolve() // one request after the other: the journal keeps the order of the keys

start()

async function start() {
  try {
    const answer = await ask('queue')
    decided = answer.decided
    faces = answer.clusters.flat()
    pages = inPages(answer.clusters)
  } catch (error) {
    complain(error)
    return
  }
  const open = faces.find((face) => !isDecided(face.number))
  show(open ? pageOf(open.number) : 0, open ? open.number : 0)
  if (!open) $('finished').scrollIntoView({block: 'nearest'})
}

// --- asking the tool ---

async function ask(path, body) {
  const options = {signal: AbortSignal.timeout(20_000)}
  if (body) Object.assign(options, {method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(body)})
  let answer
  try {
    answer = await fetch(path, options)
  } catch {
    throw new Error('The tool does not answer; start it again with `python -m training.relabel` and open the address it prints.')
  }
  if (!answer.ok) throw new Error((await answer.text()).trim())
  return answer.json()
}

function decide(choice) {
  const number = current
  if (!faces[number]) return
  badge(number, 'saving')
  const open = nextOpen(number)
  writing = writing.then(async () => {
    try {
      const {decision} = await ask('decide', {face: number, choice})
      noted(number, decision)
      say(`${WORDS[decision]}. ${isShown(current) ? described(faces[current]) : ''}`)
      complain(null)
    } catch (error) {
      noted(number, decided[number])
      complain(error)
    }
  })
  if (open !== undefined) select(open)
}

function undo() {
  writing = writing.then(async () => {
    try {
      const {face, decision} = await ask('undo', {})
      complain(null)
      if (face === null) {
        say('Nothing to undo.')
        return
      }
      noted(face, decision)
      select(face)
      say(`Taken back. ${described(faces[face])}`)
    } catch (error) {
      complain(error)
    }
  })
}

function noted(number, decision) {
  if (decision) decided[number] = decision
  else delete decided[number]
  badge(number)
  report()
}

// --- what is where ---

const isDecided = (number) => number in decided && decided[number] !== 'automatic'
const pageOf = (number) => pages.findIndex((clusters) => clusters.some((cluster) => cluster.some((face) => face.number === number)))
const element = (number) => $(`face-${number}`)
const isShown = (number) => element(number) !== null

function inPages(clusters) {
  const made = []
  let room = 0
  for (const cluster of clusters) {
    if (room < cluster.length && (room <= 0 || made.length === 0 || cluster.length <= PAGE)) {
      made.push([])
      room = PAGE
    }
    made.at(-1).push(cluster)
    room -= cluster.length
  }
  return made
}

/** The next face without a decision, or the next one after the last of them; undefined at the very end. */
function nextOpen(number) {
  for (let i = number + 1; i < faces.length; i++) if (!isDecided(i)) return i
  for (let i = 0; i < number; i++) if (!isDecided(i)) return i
  return faces[number + 1]?.number
}

// --- drawing ---

function show(which, number) {
  page = which
  current = number
  grid.replaceChildren(...(pages[page] ?? []).map(drawn))
  $('page').textContent = pages.length ? `Page ${page + 1} of ${pages.length}` : 'No face to look at'
  $('previous').disabled = page <= 0
  $('next').disabled = page >= pages.length - 1
  report()
  if (faces.length) select(number)
}

function drawn(cluster) {
  if (cluster.length === 1) return drawnFace(cluster[0])
  const box = make('div', `copies ${cluster.length > 3 ? 'many' : cluster.length > 2 ? 'three' : ''}`)
  box.setAttribute('role', 'group')
  const title = make('h2', '', 'Near-copies, opposite labels')
  title.id = `copies-${cluster[0].number}`
  title.setAttribute('role', 'presentation')
  box.setAttribute('aria-labelledby', title.id)
  box.append(title, ...cluster.map(drawnFace))
  return box
}

function drawnFace(face) {
  const box = make('div', 'face')
  box.id = `face-${face.number}`
  box.setAttribute('role', 'option')
  box.tabIndex = -1
  const image = make('img')
  Object.assign(image, {src: `faces/${face.number}.png`, alt: '', width: 128, height: 128, draggable: false})
  const said = make('div', 'said')
  const label = make('span', '', 'Label: ')
  label.append(make('b', '', LABELS[face.label]))
  const set = make('span', 'small')
  set.append(...breakable(`${face.set}, ${face.name}`))
  said.append(label, ...opinionLines(face), set)
  box.append(image, make('span', 'badge'), said)
  box.addEventListener('click', () => select(face.number))
  queueMicrotask(() => badge(face.number))
  return box
}

function opinionLines(face) {
  if (face.smile === null) return [make('span', '', 'No prediction')]
  const line = make('span', '', 'Network: ')
  line.append(make('b', '', opinion(face)))
  return [line, make('span', 'small', certainty(face))]
}

function make(name, className = '', text = '') {
  const made = document.createElement(name)
  if (className) made.className = className
  if (text) made.textContent = text
  return made
}

/** A path that breaks after its marks, not in the middle of a word. */
function breakable(path) {
  return path.split(/(?<=[/\\_-])/).flatMap((part) => [part, document.createElement('wbr')])
}

function badge(number, saving) {
  const box = element(number)
  if (!box) return
  const choice = decided[number]
  const mark = box.querySelector('.badge')
  mark.className = `badge ${saving ?? choice ?? ''}`
  mark.textContent = saving ? 'Saving…' : (WORDS[choice] ?? '')
  box.classList.toggle('decided', isDecided(number) && !saving)
  box.setAttribute('aria-label', described(faces[number]))
}

function select(number) {
  if (!isShown(number)) {
    show(pageOf(number), number)
    return
  }
  for (const other of grid.querySelectorAll('.face')) {
    const chosen = other.id === `face-${number}`
    other.setAttribute('aria-selected', String(chosen))
    other.tabIndex = chosen ? 0 : -1
  }
  current = number
  element(number).focus({preventScroll: true})
  element(number).scrollIntoView({block: 'nearest'})
}

function report() {
  const done = faces.filter((face) => isDecided(face.number)).length
  $('bar').max = Math.max(1, faces.length)
  $('bar').value = done
  $('progress').textContent = `${done} of ${faces.length} faces decided`
  const all = done === faces.length
  $('finished').hidden = !all
  $('finished').textContent = faces.length
    ? `All ${faces.length} faces are decided. Close the tool with Ctrl+C in its window, or start it with --all for the other faces; ` +
      'then train with --decisions.'
    : 'No label is doubtful. Start the tool with --all to see all faces, or with other sets by --sources.'
}

// --- in words ---

const opinion = ({smile}) => (smile >= 0.5 ? 'smile' : 'no smile')

function certainty({smile}) {
  const sure = Math.max(smile, 1 - smile)
  const how = sure >= 0.95 ? 'surely' : sure >= 0.8 ? 'probably' : 'perhaps'
  return `${how}, P(smile) ${(100 * smile).toFixed(sure > 0.99 ? 1 : 0)}\u00a0%`
}

function described(face) {
  const choice = decided[face.number]
  const copies = face.why === 'copies' ? 'Has a near-copy with the opposite label. ' : ''
  const network = face.smile === null ? 'No prediction' : `Network: ${opinion(face)}, ${certainty(face)}`
  return `Face ${face.number + 1} of ${faces.length}. ${copies}Label of ${face.set}: ${LABELS[face.label]}. ${network}. ` +
    (choice ? `${WORDS[choice]}.` : 'Not decided.')
}

function say(text) {
  $('announcement').textContent = text
}

function complain(error) {
  $('problem').hidden = !error
  $('problem').textContent = error ? error.message : ''
}

// --- keys, mouse and touch ---

document.addEventListener('keydown', (event) => {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key
  const undoing = key === 'u' || (key === 'z' && (event.ctrlKey || event.metaKey))
  if (event.altKey || ((event.ctrlKey || event.metaKey) && !(undoing && key === 'z'))) return
  const onButton = event.target.closest?.('button, a')
  if (undoing) undo()
  else if (key in KEYS && !(key === ' ' && onButton)) {
    if (!event.repeat) decide(KEYS[key]) // a key held down decides once
  } else if (key.startsWith('Arrow') && !onButton) move(key)
  else if (key === 'PageDown') turn(1)
  else if (key === 'PageUp') turn(-1)
  else return
  event.preventDefault()
})

function move(key) {
  const shown = (pages[page] ?? []).flat().map((face) => face.number)
  const place = shown.indexOf(current)
  if (key === 'ArrowLeft' || key === 'ArrowRight') {
    const next = faces[current + (key === 'ArrowLeft' ? -1 : 1)]
    if (next) select(next.number)
    return
  }
  const down = key === 'ArrowDown'
  const here = element(current).getBoundingClientRect()
  const candidates = (down ? shown.slice(place + 1) : shown.slice(0, place).reverse())
    .map((number) => ({number, at: element(number).getBoundingClientRect()}))
    .filter(({at}) => (down ? at.top >= here.bottom : at.bottom <= here.top))
  if (!candidates.length) return
  const row = candidates[0].at.top
  const nearest = candidates
    .filter(({at}) => Math.abs(at.top - row) < 2)
    .reduce((best, one) => (Math.abs(one.at.left - here.left) < Math.abs(best.at.left - here.left) ? one : best))
  select(nearest.number)
}

function turn(by) {
  const first = pages[page + by]?.[0][0]
  if (first) {
    show(page + by, first.number)
    scrollTo(0, 0)
  }
}

for (const button of document.querySelectorAll('[data-choice]')) {
  button.addEventListener('click', () => decide(button.dataset.choice))
}
$('undo').addEventListener('click', undo)
$('previous').addEventListener('click', () => turn(-1))
$('next').addEventListener('click', () => turn(1))
