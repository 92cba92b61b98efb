// Faces from frame to frame, by the rules of faces/tracking.py: the same id, a steady box and a steady probability.
import { FACE, FINDER, TRACK, TRACKING, TURNS } from "./rules.js";
import { align, areaOf, centerOf, distance, heightOf, iou, meanOf } from "./boxes.js";
import { follow, isSurelyAFace, look } from "./following.js";
import { deviation, resized } from "./pixels.js";
import { isPresent } from "./recognizer.js";
import { TurnSearch } from "./search.js";
import { Track, correlation, portraitOf } from "./track.js";

export class FaceTracker {
  #tracks = [];
  #nextId = 1;
  #updatedAt = -Infinity;
  #searchedFinelyAt = -Infinity;
  #thumbnail = null;
  #beforeCut = null; // { at, thumbnail, tracks } of the scene before a cut

  constructor(finder, recognizer) {
    this.recognizer = recognizer;
    this.search = new TurnSearch(finder);
  }

  // Faces in the next frame, at `now` seconds; the largest first.
  async update(gray, now) {
    let found = this.search.take();
    if (now <= this.#updatedAt) this.forget();
    this.#updatedAt = now;
    if (await this.#sceneChanged(gray, now)) found = [];
    await this.#followAll(gray, now);
    await this.#takeIn(found, gray, now);
    await this.#askForSearch(gray, now);
    await this.#takeIn(this.search.take(), gray, now);
    this.#tracks = this.#tracks.filter((track) => !isOver(track, now, gray));
    const shown = this.#tracks.filter((track) => !track.hidden(now)).map((track) => track.face);
    return shown.sort((a, b) => areaOf(b.box) - areaOf(a.box));
  }

  // Drops all faces: the next frame shows another scene.
  forget() {
    this.#tracks = [];
    this.#updatedAt = this.#searchedFinelyAt = -Infinity;
    this.#thumbnail = this.#beforeCut = null;
    this.search.forget();
  }

  // --- known faces ---

  async #followAll(gray, now) {
    let tracks = this.#tracks;
    if (tracks.length > TRACKING.FOLLOWED_PER_FRAME) {
      tracks = [...tracks].sort((a, b) => a.triedAt - b.triedAt).slice(0, TRACKING.FOLLOWED_PER_FRAME);
    }
    const sights = [];
    for (const track of tracks) {
      track.triedAt = now;
      const sight = await this.#findAgain(track, gray, now);
      if (sight) sights.push([track, sight]);
    }
    for (const [track, sight] of this.#settled(sights, gray, now)) this.#see(track, sight, gray, now);
    for (const track of tracks) track.missed = track.seenAt < now;
  }

  async #findAgain(track, gray, now) {
    const [dx, dy] = track.movedBy(now), points = track.sight.landmarks;
    let sight = await follow(gray, points.map(([x, y]) => [x + dx, y + dy]), this.recognizer);
    if (!isPresent(sight) && Math.max(Math.abs(dx), Math.abs(dy)) > TRACKING.MOVED * heightOf(track.sight.box)) {
      sight = await follow(gray, points, this.recognizer);
    }
    if (!isPresent(sight)) return null;
    if (!track.hidden(now)) {
      const lasting = now - track.likeAt > TRACKING.UNLIKE_S;
      return lasting && !isLike(track, sight, gray) ? null : sight;
    }
    return sight.presence >= FACE.PRESENCE_THRESHOLD && isLike(track, sight, gray) ? sight : null;
  }

  // If two tracks see one face, the track that expected it there keeps it.
  #settled(sights, gray, now) {
    const lost = new Set();
    const doubt = (track, sight) => distance(sight.box, track.expected(now)) +
      TRACKING.UNLIKE_WEIGHT * (1 - track.likeness(portraitOf(gray, sight))) + TRACKING.HIDDEN_WEIGHT * track.hidden(now);
    for (let i = 0; i < sights.length; i++) {
      for (let j = i + 1; j < sights.length; j++) {
        const [[a, sightA], [b, sightB]] = [sights[i], sights[j]];
        if (lost.has(a) || lost.has(b) || !samePlace(sightA.box, sightB.box)) continue;
        lost.add(doubt(a, sightA) > doubt(b, sightB) ? a : b);
      }
    }
    return sights.filter(([track]) => !lost.has(track));
  }

  #see(track, sight, gray, now) {
    const elapsed = now - track.seenAt;
    if (track.hidden(now)) {
      track.steady.reset();
      track.velocity = [0, 0];
    } else if (elapsed > 0) {
      const here = meanOf(sight.landmarks), before = meanOf(track.sight.landmarks);
      const velocity = [0, 1].map((axis) => (here[axis] - before[axis]) / elapsed);
      const towards = (old, time) => old.map((one, axis) => one + (1 - Math.exp(-elapsed / time)) * (velocity[axis] - one));
      track.velocity = towards(track.velocity, TRACKING.VELOCITY_S);
      track.course = towards(track.course, TRACKING.COURSE_S);
    }
    const landmarks = track.steady.next(sight.landmarks, elapsed, heightOf(sight.box));
    const box = held(track.face.box, align(landmarks).box);
    track.face = { ...sight, id: track.face.id, box, smile: track.smile.next(sight.smile, elapsed), landmarks, neutral: track.smile.neutral };
    track.sight = sight;
    track.seenAt = now;
    track.missed = false;
    const seen = portraitOf(gray, sight);
    if (track.likeness(seen) < TRACKING.LIKE) return;
    track.likeAt = now;
    if (now - track.portraitAt >= TRACKING.PORTRAIT_EVERY_S) track.remember(seen, now);
  }

  // --- new faces ---

  async #takeIn(found, gray, now) {
    for (const { box, angle, score } of found) {
      if (this.#isFollowed(box, now)) {
        if (score >= FINDER.SEEN) this.#confirm(box, gray, now);
        continue;
      }
      const sight = await look(gray, box, angle, this.recognizer);
      if (this.#isFollowed(sight.box, now) || !(await isSurelyAFace(gray, sight, this.recognizer, score))) continue;
      let track = this.#hiddenOne(sight, gray, now);
      if (!track) {
        if (this.#tracks.length >= TRACKING.MAX_FACES) continue;
        track = new Track({ ...sight, id: this.#nextId++ }, sight, now);
        this.#tracks.push(track);
      }
      this.#see(track, sight, gray, now);
    }
  }

  // The finder sees a followed face, too. It may only have changed, for example in another light.
  #confirm(box, gray, now) {
    for (const track of this.#tracks) {
      if (now - track.likeAt > 0 && track.seenAt === now && samePlace(box, track.sight.box)) {
        track.likeAt = now;
        track.remember(portraitOf(gray, track.sight), now);
      }
    }
  }

  #isFollowed(box, now) {
    const seen = this.#tracks.filter((track) => !track.hidden(now)).map((track) => track.sight.box);
    return seen.some((other) => iou(other, box) > TRACKING.OVERLAP || holds(other, box));
  }

  // The face that went out of sight and may be this one: it looks alike, and is near enough for the time that passed.
  #hiddenOne(sight, gray, now) {
    const away = (track) => distance(track.expected(now), sight.box);
    const hidden = this.#tracks.filter((track) => track.hidden(now)).sort((a, b) => away(a) - away(b));
    return hidden.find((track) => {
      const ratio = heightOf(track.sight.box) / Math.max(1, heightOf(sight.box));
      const near = away(track) < TRACKING.REACH + TRACKING.REACH_PER_S * (now - track.seenAt);
      return near && ratio > TRACKING.SIZES[0] && ratio < TRACKING.SIZES[1] && isLike(track, sight, gray);
    });
  }

  async #askForSearch(gray, now) {
    const tracks = this.#tracks;
    if (!tracks.length || tracks.some((track) => track.hidden(now) || now - track.likeAt > TRACKING.ODD_S)) {
      if (await this.search.ask(gray, now, TURNS.PAUSE_S)) this.#searchedFinelyAt = now;
      return;
    }
    const fine = now - this.#searchedFinelyAt >= TRACKING.SEARCHED_FINELY * TURNS.PAUSE_S;
    const smallest = fine ? 0 : Math.min(...tracks.map((track) => heightOf(track.sight.box))) / 2;
    const asked = await this.search.ask(gray, now, Math.max(TRACKING.SEARCHED_LESS * TURNS.PAUSE_S, TRACKING.JOINED_S), smallest);
    if (asked && fine) this.#searchedFinelyAt = now;
  }

  // --- scenes ---

  // Notices a cut and puts all faces aside. They come back with their scene if it was only broken or covered.
  async #sceneChanged(gray, now) {
    const before = this.#thumbnail, thumbnail = thumbnailOf(gray);
    this.#thumbnail = thumbnail;
    if (!before || Math.min(deviation(before), deviation(thumbnail)) < TRACKING.FLAT) return false;
    if (correlation(before.data, thumbnail.data) >= TRACKING.CUT) return false;
    if (await this.#seesSomebodyAgain(gray, now)) return false;
    const tracks = this.#tracks, cut = this.#beforeCut;
    this.#tracks = [];
    this.search.forget();
    this.#beforeCut = null;
    if (cut && now - cut.at < TRACKING.FORGET_AFTER_S && correlation(cut.thumbnail.data, thumbnail.data) >= TRACKING.CUT) {
      this.#tracks = cut.tracks;
    } else {
      this.#beforeCut = { at: now, thumbnail: before, tracks };
    }
    return true;
  }

  async #seesSomebodyAgain(gray, now) {
    const seen = this.#tracks.filter((track) => !track.hidden(now)).slice(0, TRACKING.FOLLOWED_PER_FRAME);
    for (const track of seen) {
      let sight = await this.#findAgain(track, gray, now);
      if (!sight || sight.presence < FACE.PRESENCE_THRESHOLD) continue;
      sight = await follow(gray, sight.landmarks, this.recognizer); // from close up, for a portrait that can be compared
      if (isPresent(sight) && track.likeness(portraitOf(gray, sight)) >= TRACKING.SURELY_LIKE) return true;
    }
    return false;
  }
}

function thumbnailOf(gray) {
  const width = Math.ceil(gray.width / 4), height = Math.ceil(gray.height / 4);
  const data = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) data[y * width + x] = gray.data[4 * (y * gray.width + x)];
  return resized({ data, width, height }, TRACK.THUMBNAIL_SHAPE[1], TRACK.THUMBNAIL_SHAPE[0], { area: true });
}

function isOver(track, now, { width, height }) {
  const [x, y] = centerOf(track.expected(now));
  const gone = x < 0 || x > width || y < 0 || y > height; // the face has left the picture
  return now - track.seenAt > (gone ? TRACK.SHOWN_AFTER_S : TRACKING.FORGET_AFTER_S);
}

function isLike(track, sight, gray) {
  return track.likeness(portraitOf(gray, sight)) >= TRACKING.LIKE;
}

function samePlace(box, other) {
  const ratio = heightOf(box) / Math.max(1, heightOf(other));
  return distance(box, other) < TRACKING.SAME_FACE && ratio > TRACKING.SIZES[0] && ratio < TRACKING.SIZES[1];
}

function holds(box, other) {
  const [x, y] = centerOf(other);
  return x >= box.left && x <= box.right && y >= box.top && y <= box.bottom;
}

// The old box while the new one is nearly the same.
function held(old, box) {
  const most = Math.max(1, TRACKING.HELD * heightOf(box));
  return Object.keys(box).every((side) => Math.abs(old[side] - box[side]) <= most) ? old : box;
}
