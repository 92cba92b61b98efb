// Says of each state whether it is a new reading: the app repeats its last event if nothing new comes.
export function newReadings() {
  let last = "";
  return ({ time, frame }) => {
    const event = time === undefined ? "" : `${time} ${frame}`, isNew = !event || event !== last;
    last = event;
    return isNew;
  };
}
