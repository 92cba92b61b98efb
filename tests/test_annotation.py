import cv2
import numpy as np
import pytest

from common.face import Box, Face
from faces.annotation import annotate, encode_jpeg, label_text, message_picture


def face(box: Box, smile: float = 0.93) -> Face:
    return Face(1, box, smile, smile)


def test_labels_say_the_smile_probability_in_words():
    assert label_text(face(Box(0, 1, 1, 0), 0.93)) == "Smile 93 %"
    assert label_text(face(Box(0, 1, 1, 0), 0.12)) == "Smile 12 %", "not to be read as 12 % not smiling"
    assert label_text(face(Box(0, 1, 1, 0), 0.5)) == "Smile 50 %"
    assert label_text(face(Box(0, 1, 1, 0), 0.496)) == "Smile 49 %", "rounded down: it is no smile"


PLATE = {True: (77, 208, 255), False: (214, 190, 168)}


def _longest_run(flags) -> int:
    """The longest row of True in `flags`."""
    return max((len(run) for run in "".join("x" if flag else " " for flag in flags).split()), default=0)


@pytest.mark.parametrize("background", [0, 60, 128, 200, 255])
@pytest.mark.parametrize("size", [(96, 72), (320, 240), (640, 480), (1920, 1080)])
@pytest.mark.parametrize("smile", [0.05, 0.95])
def test_the_label_is_legible_on_any_background_at_any_size(background, size, smile):
    width, height = size
    image = np.full((height, width, 3), background, np.uint8)
    annotate(image, [face(Box(height // 4, width * 3 // 4, height * 3 // 4, width // 4), smile)])
    rows = [y for y in range(height) if _longest_run((image[y] == PLATE[smile > 0.5]).all(axis=1)) >= 8]
    plate = cv2.cvtColor(image[min(rows) : max(rows) + 1], cv2.COLOR_BGR2GRAY)
    assert len(rows) >= 12, "a plate high enough for letters"
    bright, dark = plate > 150, plate < 70
    assert bright.sum() > 200
    across = np.flatnonzero((dark & (np.roll(bright, 2, axis=1) | np.roll(bright, -2, axis=1))).any(axis=0))
    assert np.ptp(across) > 30, "dark letters on the bright plate, along its length"


@pytest.mark.parametrize(
    "box",
    [
        Box(-50, 100, 60, -40),
        Box(0, 640, 480, 0),
        Box(400, 700, 560, 560),
        Box(-90, 720, 600, -100),
        Box(200, 205, 205, 200),
    ],
)
def test_the_label_stays_inside_the_picture_wherever_the_face_is(box):
    image = np.full((480, 640, 3), 128, np.uint8)
    annotate(image, [face(Box(*box))])
    ys, _ = np.nonzero((image == (77, 208, 255)).all(axis=2))
    runs = np.bincount(ys, minlength=480)
    assert (runs > 60).sum() >= 15, "a whole plate of the label's colour is in view"


def boxes_in_a_row(count: int, side: int, gap: int, top: int) -> list[Box]:
    lefts = [gap + i * (side + gap) for i in range(count)]
    return [Box(top, left + side, top + side, left) for left in lefts]


def inner(image: np.ndarray, box: Box) -> np.ndarray:
    """What a box holds, without its frame."""
    rim = box.height // 8
    return image[box.top + rim : box.bottom - rim, box.left + rim : box.right - rim]


@pytest.mark.parametrize("smile", [0.05, 0.95])
@pytest.mark.parametrize("side", [40, 60, 120])
def test_in_a_group_no_label_covers_a_face(side, smile):
    image = np.full((480, 640, 3), 128, np.uint8)
    rows = [boxes_in_a_row(4, side, side // 2, top) for top in (60, 60 + side + 80)]
    boxes = [box for row in rows for box in row]
    annotate(image, [face(box, smile) for box in boxes])
    for box in boxes:
        assert (inner(image, box) == 128).all()
    plates = (image == PLATE[smile > 0.5]).all(axis=2)
    assert plates.sum() > len(boxes) * 150, "and all labels are there"


def test_in_a_crowd_without_room_labels_are_small_and_a_face_keeps_most_of_its_own():
    image = np.full((480, 640, 3), 128, np.uint8)
    boxes = [box for top in range(5, 400, 66) for box in boxes_in_a_row(9, 60, 6, top)]
    annotate(image, [face(box) for box in boxes])
    for box in boxes:
        assert (inner(image, box) == 128).all(axis=2).mean() > 0.4


def _plate(image: np.ndarray, smile: bool) -> tuple[int, int]:
    """Width and height of the only label's plate."""
    runs = [_longest_run(row) for row in (image == PLATE[smile]).all(axis=2)]
    rows = [i for i, run in enumerate(runs) if run >= 8]
    return max(runs), len(rows)


def test_a_small_face_among_others_has_its_number_alone():
    other = Box(300, 600, 400, 500)
    widths = []
    for smile in (0.05, 0.95):
        image = np.full((480, 640, 3), 128, np.uint8)
        annotate(image, [face(other, 1 - smile), face(Box(100, 140, 140, 100), smile)])
        widths.append(_plate(image[:240], smile > 0.5)[0])
    assert max(widths) < 90, "a face of 40 pixels has a label about as wide"
    alone = annotate(np.full((480, 640, 3), 128, np.uint8), [face(Box(100, 140, 140, 100), 0.95)])
    assert _plate(alone[:99], True)[0] > max(widths), "alone there is room for words"


def test_letters_come_in_few_sizes_which_grow_with_the_face_and_stop():
    heights = []
    for side in range(40, 420, 2):
        image = np.full((480, 640, 3), 128, np.uint8)
        label_above = annotate(image, [face(Box(60, 60 + side, 60 + side, 60))])[:58]
        heights.append(_plate(label_above, True)[1])
    assert heights == sorted(heights)
    assert 3 <= len(set(heights)) <= 6, "a face that moves a little keeps its size of letters"
    assert heights[0] >= 15, "still to be read"
    assert heights[-1] == heights[-60], "as large as they get in a picture of this size"


def test_letters_grow_with_the_picture():
    heights = []
    for scale in (1, 2, 4):
        image = np.full((240 * scale, 320 * scale, 3), 128, np.uint8)
        annotate(image, [face(Box(80 * scale, 200 * scale, 200 * scale, 80 * scale))])
        heights.append(_plate(image[: 79 * scale], True)[1])
    assert heights[1] > 1.7 * heights[0]
    assert heights[2] > 1.7 * heights[1]


def test_no_face_leaves_the_picture_as_it_is():
    image = np.full((48, 64, 3), 7, np.uint8)
    assert (annotate(image.copy(), []) == image).all()


POINTS = ((0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8))  # in sides of the box
SEEN_AS = {"left eye": 0, "right eye": 2, "nose": 1}  # the channel of BGR that is by far the strongest


def face_with_landmarks(box: Box) -> Face:
    points = tuple((box.left + x * box.width, box.top + y * box.height) for x, y in POINTS)
    return Face(1, box, 0.93, 0.93, points)


@pytest.mark.parametrize("side", [60, 120, 400])
@pytest.mark.parametrize("background", [0, 128, 255])
def test_landmarks_are_small_dots_whose_colours_can_be_told(side, background):
    image = np.full((600, 600, 3), background, np.uint8)
    wanted = face_with_landmarks(Box(100, 100 + side, 100 + side, 100))
    annotate(image, [wanted], landmarks=True)
    colors = [image[round(y), round(x)].astype(int) for x, y in wanted.landmarks]
    for color, channel in zip(colors, SEEN_AS.values(), strict=False):
        assert color[channel] - np.delete(color, channel).max() > 100
    assert [color.tolist() for color in colors[3:]] == [[255, 255, 255]] * 2
    inside = image[100 + side // 5 : 100 + side * 9 // 10, 100 + side // 5 : 100 + side * 4 // 5]
    changed = (inside != background).any(axis=2).mean()
    assert changed < 0.2, "most of the face stays in view"
    x, y = (round(value) for value in wanted.landmarks[3])
    around = image[y - side // 10 - 3 : y + side // 10 + 4, x].max(axis=1)
    assert background == 0 or around.min() < 100, "a dark rim"


def test_landmarks_are_drawn_only_when_asked_for_and_known():
    plain = annotate(np.zeros((240, 240, 3), np.uint8), [face_with_landmarks(Box(60, 180, 180, 60))])
    assert not plain[80:170, 80:160].any()
    unknown = annotate(np.zeros((240, 240, 3), np.uint8), [face(Box(60, 180, 180, 60))], landmarks=True)
    assert (unknown == plain).all()


def test_landmarks_outside_of_the_picture_or_of_all_numbers_do_no_harm():
    points = ((-5.0, -5.0), (float("nan"), 3.0), (float("inf"), 0.0), (1e12, 0.0), (99.0, 400.0))
    image = annotate(np.zeros((100, 100, 3), np.uint8), [Face(1, Box(20, 60, 60, 20), 0.9, 0.9, points)], landmarks=True)
    assert image.shape == (100, 100, 3)


@pytest.mark.parametrize("size", [(160, 120), (640, 360), (1920, 1080)])
def test_a_message_fits_its_card(size):
    long = "Camera 0 can't be opened. Connect it, end other programs that use it, or choose another --source. " * 2
    image = message_picture(long + "Ünïcode", size)
    assert image.shape == (size[1], size[0], 3)
    paper = image[0, 0]
    rim = np.concatenate([image[:2].reshape(-1, 3), image[:, :2].reshape(-1, 3), image[:, -2:].reshape(-1, 3)])
    assert (rim == paper).all(), "no letter is cut off at the rim"
    assert (image != paper).any()


def test_encoding_gives_a_jpeg_of_the_same_size():
    decoded = cv2.imdecode(np.frombuffer(encode_jpeg(np.zeros((48, 64, 3), np.uint8)), np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert decoded.shape == (48, 64, 3)
