export function percent(smile) {
  return Math.floor(smile * 100 + 1e-6); // rounded down, so that 49.6 %, which is no smile yet, does not read 50 %
}
