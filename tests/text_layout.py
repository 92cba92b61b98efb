"""Where a browser cuts text off, or breaks a word of it into two lines."""

# The elements whose text does not fit, and the words of theirs that go over the end of a line: [cut off, broken].
CUT_OFF_OR_BROKEN = """(selector) => {
  const cut = [], broken = [], range = document.createRange()
  for (const element of document.querySelectorAll(selector)) {
    const boxed = getComputedStyle(element).display !== 'inline'
    if (boxed && element.scrollWidth > element.clientWidth + 1) cut.push(element.textContent)
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT)
    let before = '', top = null
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      for (let i = 0; i < node.length; i++) {
        range.setStart(node, i)
        range.setEnd(node, i + 1)
        const [box] = range.getClientRects()
        if (!box || !box.width) { before = node.data[i]; continue }
        if (top !== null && box.top > top + 2 && /[A-Za-z0-9]/.test(before)) broken.push(element.textContent)
        before = node.data[i]
        top = box.top
      }
    }
  }
  return [cut, broken]
}"""
