// A small number for every face in view: 1, 2, 3... A face keeps its number while it stays; colour and shape follow the number.
const AWAY_MS = 3000; // after which a number is free again
export const SHOWN = 8; // faces with a meter and a line of their own

export class FaceSlots {
  #taken = new Map(); // the face's id -> {slot, seenAt}

  // `faces`: [{id}, ...], those in view at `now` (milliseconds).
  update(faces, now) {
    for (const [id, { seenAt }] of this.#taken) if (now - seenAt > AWAY_MS) this.#taken.delete(id);
    for (const { id } of faces) {
      const known = this.#taken.get(id);
      if (known) known.seenAt = now;
      else this.#taken.set(id, { slot: this.#lowestFree(), seenAt: now });
    }
  }

  // From 1 on; 0 for a face that was never seen or has left.
  of(id) {
    return this.#taken.get(id)?.slot ?? 0;
  }

  #lowestFree() {
    const taken = new Set([...this.#taken.values()].map(({ slot }) => slot));
    let slot = 1;
    while (taken.has(slot)) slot += 1;
    return slot;
  }
}

export const slots = new FaceSlots(); // the page's
