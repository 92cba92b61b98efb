// Written by `python -m tools.reading_rules` from the Python modules that these are named after, not by hand.
export const FACE = {
  LANDMARKS: ["left_eye", "right_eye", "nose", "mouth_left", "mouth_right"],
  SMILE_THRESHOLD: 0.5,
  PRESENCE_THRESHOLD: 0.9,
  STILL_THERE: 0.5,
};
export const SMILE_RECOGNITION = {
  CROP_SIZE: 64,
  OUTPUTS: 12,
  SMOOTHED_FROM: 2,
};
export const ALIGNMENT = {
  TYPICAL_LANDMARKS: [[0.281, 0.308], [0.719, 0.308], [0.5, 0.559], [0.312, 0.757], [0.688, 0.757]],
};
export const FINDER = {
  WIDTH: 160,
  HEIGHT: 128,
  CELL: 8,
  CHANNELS: 14,
  DEEPEST: 32,
  SMALLEST: 20.0,
  MOST_ENLARGED: 4.0,
  MOST_PIXELS: 2000000,
  LEAST_CONTRAST: 0.5,
  MOST_SIZES: 4,
  SAME_FACE: 0.35,
  MOST_CELLS: 100,
  MOST_LOG_SIDE: 6.0,
  ONE_LOOK: 1.2,
  SLACK: 0.1,
  TOO_SMALL: 0.7,
  SEEN: 0.45,
  DOUBTFUL: 0.25,
};
export const FOLLOWING = {
  WEIGHT: 0.75,
  ENOUGH: 4.0,
  CUT_OFF: 0.001,
  UPRIGHT: 8.0,
  NEAR_SHIFT: 0.1,
  NEAR_SIZE: 1.12,
  NEAR_ANGLE: 10.0,
  FARTHEST: 100000.0,
  MOST_SHIFT: 0.7,
  MOST_SIZE: 1.8,
  MOST_MISFIT: 0.17,
  LEAST_HEIGHT: 12,
  MOST_HEIGHT: 4,
};
export const TRACK = {
  SHOWN_AFTER_S: 0.12,
  COAST_S: 1.0,
  PORTRAIT: 16,
  PORTRAIT_SHAPE: [11, 16],
  THUMBNAIL_SHAPE: [24, 32],
  PORTRAITS: 4,
};
export const TRACKING = {
  MAX_FACES: 32,
  SEARCHED_LESS: 4,
  JOINED_S: 0.3,
  SEARCHED_FINELY: 12,
  FORGET_AFTER_S: 2.0,
  VELOCITY_S: 0.15,
  COURSE_S: 0.5,
  FOLLOWED_PER_FRAME: 8,
  SAME_FACE: 0.4,
  LIKE: 0.6,
  ODD_S: 0.25,
  UNLIKE_S: 0.6,
  SURELY_LIKE: 0.85,
  PORTRAIT_EVERY_S: 0.5,
  HELD: 0.012,
  MOVED: 0.1,
  UNLIKE_WEIGHT: 0.5,
  HIDDEN_WEIGHT: 0.3,
  OVERLAP: 0.2,
  SIZES: [0.6, 1.7],
  REACH: 0.5,
  REACH_PER_S: 1.5,
  FLAT: 4.0,
  CUT: 0.5,
};
export const SEARCH = {
  SMALLEST: 40.0,
  SMALLEST_PART: 12,
};
export const TURNS = {
  SMALLEST: 40.0,
  SMALLEST_SHARE: 0.125,
  PAUSE_S: 0.25,
};
export const CARRIED = {
  LONGEST_STEP_S: 0.9,
  SHORTEST_STEP_S: 0.001,
};
export const PHOTO = {
  LEANING: 20.0,
  SAME_FACE: 0.3,
  ALIKE: 2.0,
  ALIKE_OVERLAP: 0.2,
  FINER: 20.0,
};
export const SMOOTHING = {
  MIN_CUTOFF: 1.2,
  BETA: 10.0,
  SPEED_CUTOFF: 2.0,
  TIME_CONSTANT: 0.08,
  ENOUGH: 0.12,
  SUREST: 3.0,
  FALLS: 0.3,
  RISES: 3.0,
  LONGEST: 0.2,
  RESTING: 0.5,
};
