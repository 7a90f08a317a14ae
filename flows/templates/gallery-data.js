"use strict";

/* The data of the gallery. A page opened from a folder may load scripts that lie beside it but fetch nothing, so every
   file of data is a script that calls galleryData(version, what, number, content). */
const Data = (() => {
  const KINDS = ["photograph", "page", "film"];
  const STATES = ["failed", "skipped", "done"];
  const REVIEWS = ["", "approved", "rejected", "replaced"];
  const KEPT_CHUNKS = 8;

  const entries = [];
  const groups = new Map(); // key of a document or film -> number of its pages or shots
  const chunks = new Map(); // number -> details of some entries; the oldest use first
  const asked = new Set();
  const listeners = { list: [], chunk: [], problem: [] };
  let run = null;
  let lists = 0;

  function receive(version, what, number, content) {
    if (version !== document.documentElement.dataset.version) {
      tell("problem", "This gallery is being written anew. Please load the page again.");
    } else if (what === "run") {
      run = content;
    } else if (what === "items") {
      chunks.set(number, content);
      asked.delete(number);
      tell("chunk", number);
    } else if (number === lists + 1) {
      lists = number;
      for (const line of content) entries.push(entry(line, entries.length));
      if (entries.length < run.pictures) load(`list-${name(number + 1)}`);
      tell("list");
    }
  }

  /* One picture: a photograph, a page, or a shot of a film; or an item that has failed or was left out. */
  function entry(line, index) {
    const [item, shot, path, page, kind, state, confidence, match, flags, review, reference, ratio] = line;
    const made = {
      index, item, shot, page, confidence, match, reference, ratio,
      path: path === 0 ? entries[index - 1].path : path,
      kind: KINDS[kind],
      state: STATES[state],
      review: REVIEWS[review],
      isDoubtful: Boolean(flags & 1),
      hasGrey: Boolean(flags & 2),
      hasColour: Boolean(flags & 4),
      isSuperseded: Boolean(flags & 8),
      hasPageNumber: Boolean(flags & 16),
      group: null,
    };
    if (made.state === "done" && (shot || made.hasPageNumber)) {
      made.group = shot ? `film ${item}` : `document ${made.path}`;
      groups.set(made.group, (groups.get(made.group) || 0) + 1);
    }
    return made;
  }

  /* What else is known of an entry, or null while it is being loaded. */
  function details(index) {
    const number = Math.floor(index / run.chunkItems) + 1;
    const chunk = chunks.get(number);
    if (chunk === undefined) {
      if (!asked.has(number)) {
        asked.add(number);
        load(`items-${name(number)}`);
      }
      return null;
    }
    chunks.delete(number);
    chunks.set(number, chunk);
    return chunk[index % run.chunkItems];
  }

  /* Forget the details that were not used for longest. */
  function forget() {
    while (chunks.size > KEPT_CHUNKS) chunks.delete(chunks.keys().next().value);
  }

  function load(file) {
    const script = document.createElement("script");
    script.src = `data/${file}.js`;
    script.onload = () => script.remove();
    script.onerror = () => {
      script.remove();
      tell("problem", `A part of this gallery is missing: ${script.getAttribute("src")}. Copy the whole folder, or write it again.`);
    };
    document.head.append(script);
  }

  function name(number) {
    return String(number).padStart(4, "0");
  }

  function tell(what, value) {
    for (const listener of listeners[what]) listener(value);
  }

  window.galleryData = receive;
  return {
    entries,
    groups,
    details,
    forget,
    on: (what, listener) => listeners[what].push(listener),
    run: () => run,
    reference: (number) => (number < 0 ? null : run.references[number]),
    isWhole: () => run !== null && entries.length >= run.pictures,
  };
})();

