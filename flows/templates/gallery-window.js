/* A long list of rows of which only those near the window are in the page. Heights are guessed until they are seen. */
const RowWindow = (container) => {
  const before = document.createElement("div");
  const after = document.createElement("div");
  const shown = new Map(); // number of a row -> its element
  let rows = [];
  let heights = new Float64Array(0);
  let build = null;
  let isAsked = false;

  const observer = new ResizeObserver((changes) => {
    let shift = 0;
    for (const { target } of changes) {
      const row = Number(target.dataset.row);
      if (shown.get(row) !== target) continue;
      const height = target.offsetHeight;
      const grown = height - heights[row];
      if (grown && target.getBoundingClientRect().top + heights[row] <= 0) shift += grown;
      heights[row] = height;
    }
    if (shift) window.scrollBy(0, shift);
    ask();
  });

  container.append(before, after);
  window.addEventListener("scroll", ask, { passive: true });
  window.addEventListener("resize", ask);

  /* Show other rows. `guess(row)` is a height in pixels, `make(row)` an element. */
  function set(newRows, guess, make) {
    clear();
    rows = newRows;
    build = make;
    heights = Float64Array.from(rows, guess);
    render();
  }

  function clear() {
    for (const element of shown.values()) {
      observer.unobserve(element);
      element.remove();
    }
    shown.clear();
  }

  /* Make the rows that are shown anew, in their places. */
  function refresh(isOld) {
    for (const [number, element] of shown) {
      if (!isOld(rows[number])) continue;
      const fresh = made(number);
      observer.unobserve(element);
      element.replaceWith(fresh);
    }
    measure();
    ask();
  }

  function made(number) {
    const element = build(rows[number]);
    element.dataset.row = number;
    shown.set(number, element);
    observer.observe(element);
    return element;
  }

  function ask() {
    if (isAsked) return;
    isAsked = true;
    requestAnimationFrame(() => {
      isAsked = false;
      render();
    });
  }

  function render() {
    const top = -container.getBoundingClientRect().top;
    const spare = window.innerHeight * 0.75;
    const [from, to] = range(top - spare, top + window.innerHeight + spare);
    const anchor = [...shown.values()].find((element) => element.getBoundingClientRect().bottom > 0);
    const anchored = anchor && within(Number(anchor.dataset.row), from, to) ? anchor.getBoundingClientRect().top : null;
    for (const [number, element] of shown) {
      if (within(number, from, to)) continue;
      observer.unobserve(element);
      element.remove();
      shown.delete(number);
    }
    let next = after;
    for (let number = to - 1; number >= from; number--) {
      const element = shown.get(number) || made(number);
      if (element.nextElementSibling !== next) container.insertBefore(element, next);
      next = element;
    }
    measure();
    before.style.height = `${sum(0, from)}px`;
    after.style.height = `${sum(to, rows.length)}px`;
    if (anchored !== null) {
      const moved = anchor.getBoundingClientRect().top - anchored;
      if (Math.abs(moved) >= 1) window.scrollBy(0, moved);
    }
    Data.forget();
  }

  function measure() {
    for (const [number, element] of shown) if (element.isConnected) heights[number] = element.offsetHeight;
  }

  function within(number, from, to) {
    return number >= from && number < to;
  }

  /* The rows between two heights: the first, and the one behind the last. */
  function range(top, bottom) {
    let from = 0;
    let height = 0;
    while (from < rows.length - 1 && height + heights[from] < top) height += heights[from++];
    let to = from;
    while (to < rows.length && height < bottom) height += heights[to++];
    return [from, to];
  }

  function sum(from, to) {
    let height = 0;
    for (let number = from; number < to; number++) height += heights[number];
    return height;
  }

  return { set, refresh, count: () => shown.size };
};

