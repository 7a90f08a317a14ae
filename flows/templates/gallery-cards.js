/* What is shown of one picture. Every text from the data becomes a text node, never markup. */
const Cards = (() => {
  const positions = new Map(); // index of an entry -> where its slider was left
  const opened = new Set(); // entries whose figures are unfolded
  let usual = 50;
  let onReference = () => {};

  function make(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (name === "class") element.className = value;
      else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value === true) element.setAttribute(name, "");
      else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
    return element;
  }

  function text(value, tag = "bdi") {
    return make(tag, { translate: "no" }, value);
  }

  function two(value) {
    return value === null || value === undefined ? "–" : value.toFixed(2);
  }

  function nameOf(entry) {
    if (entry.shot) return `${entry.path}, shot ${entry.shot}`;
    return entry.hasPageNumber ? `${entry.path}, page ${entry.page}` : entry.path;
  }

  function title(entry) {
    if (!entry.group) return text(entry.path);
    return entry.shot ? `Shot ${entry.shot}` : `Page ${entry.page}`;
  }

  /* A picture with its reference and figures. */
  function card(entry, place, count) {
    const details = Data.details(entry.index);
    const classes = ["card", entry.isDoubtful && "is-doubtful", entry.review && `is-${entry.review}`];
    return make(
      "article",
      {
        class: classes.filter(Boolean).join(" "), "aria-posinset": place, "aria-setsize": count,
        "aria-label": nameOf(entry), tabindex: -1, "data-index": entry.index,
      },
      make("h3", { title: entry.path }, title(entry), details && details.frames ? make("small", {}, ` frames ${details.frames.join(" to ")}`) : ""),
      make("div", { class: "pictures" }, comparison(entry), make("div", { class: "beside" }, reference(entry), facts(entry, details))),
      details && !entry.group ? make("ul", { class: "facts" }, ...copies(details)) : "",
      more(entry, details),
    );
  }

  /* The scan and its colours, one over the other, and what is drawn to see more of the one or the other. */
  function comparison(entry) {
    const stem = `thumbnails/${entry.item}${entry.shot ? `-shot-${entry.shot}` : ""}`;
    const name = nameOf(entry);
    const image = (kind, alt) => make("img", { class: kind, src: `${stem}-${kind}.jpg`, alt: `${name}, ${alt}`, loading: "lazy", decoding: "async", draggable: "false" });
    const grey = entry.hasGrey && image("grey", "scan, grey");
    const colour = entry.hasColour && image("colour", "machine-coloured");
    const caption = make("p", { class: "quiet" }, "scan ↔ machine-made colours");
    if (!grey && !colour) caption.textContent = "The pictures are not there any more.";
    if (!grey && !colour) return make("div", {}, make("div", { class: "area" }), caption);
    const box = make("div", { class: "compare" }, grey || "", colour || "");
    box.style.setProperty("--ratio", entry.ratio || 1.5);
    (grey || colour).addEventListener("load", (event) => {
      const { naturalWidth, naturalHeight } = event.target;
      box.style.setProperty("--ratio", naturalWidth / naturalHeight); // a scan may lie on its side in the file
    });
    if (grey && colour) {
      const range = make("input", {
        type: "range", min: 0, max: 100, step: 1, "aria-label": `Grey or colour: ${name}`,
        oninput: () => {
          positions.set(entry.index, Number(range.value));
          moved(box, range);
        },
      });
      range.value = positions.has(entry.index) ? positions.get(entry.index) : usual;
      box.append(make("span", { class: "line", "aria-hidden": "true" }), range);
      moved(box, range);
    }
    return make("div", {}, make("div", { class: "area" }, box), caption);
  }

  function moved(box, range) {
    box.style.setProperty("--grey", `${range.value}%`);
    range.setAttribute("aria-valuetext", `${range.value} percent grey`);
  }

  /* Bring all sliders to one place. */
  function setAll(value) {
    usual = value;
    positions.clear();
    for (const range of document.querySelectorAll(".compare input")) {
      range.value = value;
      moved(range.parentElement, range);
    }
  }

  function reference(entry) {
    const found = Data.reference(entry.reference);
    if (!found) return make("figure", { class: "reference" }, make("figcaption", {}, "coloured from itself"));
    const [id, path, isThere] = found;
    return make(
      "figure",
      { class: "reference" },
      isThere ? make("img", { src: `thumbnails/reference-${id}.jpg`, alt: `The reference ${path}`, loading: "lazy", decoding: "async" }) : "",
      make("figcaption", {}, "reference: ", make("button", { type: "button", class: "link", translate: "no", title: `${path}: show all that have it`, onclick: () => onReference(path) }, make("bdi", {}, path))),
    );
  }

  function fact(label, ...values) {
    return make("li", {}, make("span", {}, label), " ", ...values);
  }

  function facts(entry, details) {
    const list = make("ul", { class: "facts" });
    if (entry.isDoubtful) list.append(make("li", { class: "doubt" }, "doubtful reference: look at this one"));
    if (entry.isSuperseded) list.append(make("li", { class: "doubt" }, "a later result has taken its place"));
    list.append(review(entry, details), fact("confidence", two(entry.confidence)));
    if (entry.match !== null) list.append(fact("match confidence", two(entry.match)));
    if (!details) {
      list.append(make("li", { class: "quiet" }, "…"));
      return list;
    }
    if (details.rank) list.append(fact("score", details.score.toFixed(3)), fact("rank", details.candidates ? `${details.rank} of ${details.candidates}` : details.rank));
    else if (details.choice && details.choice !== "retrieved") list.append(fact("reference", details.choice));
    return list;
  }

  function copies(details) {
    return details.output.map(([path, link]) => make("li", { class: "copy" }, make("span", {}, "copy"), " ", make("a", { href: link, translate: "no" }, path)));
  }

  function review(entry, details) {
    if (!entry.review) return fact("review", "none yet");
    const [, who, when, why, other] = (details && details.review) || [];
    const rest = [who && ` by ${who}`, when && `, ${when.slice(0, 10)}`, other && `; reference ${other}`, why && `: ${why}`];
    return fact("review", make("strong", { class: `review-${entry.review}` }, entry.review), rest.filter(Boolean).join(""));
  }

  function more(entry, details) {
    if (!details) return "";
    const [width, height, depth] = details.size;
    const [scan, copy, reference] = details.sha256;
    const lines = [
      width && ["size", `${width} × ${height}, ${depth} bit`],
      details.networkSize && ["network at", `${details.networkSize} px`],
      details.seconds !== undefined && ["seconds", two(details.seconds)],
      details.flicker !== undefined && ["flicker", two(details.flicker)],
      details.framesASecond !== undefined && ["frames a second", two(details.framesASecond)],
      details.others && details.others.length && ["other candidates", details.others.map(([path, score]) => `${path} (${score.toFixed(3)})`).join("; ")],
      details.message && ["note", details.message],
      scan && ["sha256 of the scan", scan],
      copy && ["of the copy", copy],
      reference && ["of the reference", reference],
    ];
    const unfolded = make(
      "details",
      {
        open: opened.has(entry.index),
        ontoggle: (event) => (event.target.open ? opened.add(entry.index) : opened.delete(entry.index)),
      },
      make("summary", {}, "More"),
      make("dl", {}, ...lines.filter(Boolean).flatMap(([label, value]) => [make("dt", {}, label), make("dd", { translate: "no" }, value)])),
    );
    return unfolded;
  }

  /* An item without a picture: it has failed or was left out. */
  function problem(entry, place, count) {
    const details = Data.details(entry.index);
    const isFailed = entry.state === "failed";
    return make(
      "article",
      {
        class: `problem ${entry.state}`, "aria-posinset": place, "aria-setsize": count, tabindex: -1,
        "aria-label": `${nameOf(entry)}, ${isFailed ? "failed" : "left out"}`, "data-index": entry.index,
      },
      make("h3", {}, text(nameOf(entry))),
      make("p", {}, make("span", { class: "badge" }, isFailed ? `failed${details && details.stage ? ` at ${details.stage}` : ""}` : "left out"), " ", details ? details.message || "" : "…"),
    );
  }

  /* The head of the pages of a document or the shots of a film. */
  function group(entry, shown) {
    const all = Data.groups.get(entry.group);
    const details = Data.details(entry.index);
    const what = entry.shot ? "shot" : "page";
    const film = (details && details.film) || {};
    const parts = [
      `${shown === all ? all : `${shown} of ${all}`} ${what}${all === 1 ? "" : "s"}`,
      film.frames && `${film.frames} frames`,
      film.confidence !== undefined && `confidence ${two(film.confidence)}`,
      film.seconds !== undefined && `${film.seconds.toFixed(1)} s`,
    ];
    return make(
      "div",
      { class: "group" },
      make("h2", {}, text(entry.path)),
      make("p", { class: "quiet" }, `${entry.shot ? "Film" : "Document"}: ${parts.filter(Boolean).join(", ")}`),
      details ? make("ul", { class: "facts" }, ...copies(details)) : "",
    );
  }

  return { make, card, problem, group, setAll, onReference: (listener) => (onReference = listener) };
})();

