/* Which pictures are shown, in which order; what is chosen stands in the address behind #. */
const Filter = (() => {
  const NAMES = ["text", "state", "kind", "review", "below", "reference", "doubtful", "order"];
  const collator = new Intl.Collator("en", { numeric: true });

  function plain(text) {
    return text.normalize("NFC").toLowerCase();
  }

  /* The filter that an address holds; what is not known is left out. */
  function parse(hash) {
    const found = new URLSearchParams(hash.replace(/^#/, ""));
    return Object.fromEntries(NAMES.map((name) => [name, found.get(name) || ""]));
  }

  function format(filter) {
    const chosen = new URLSearchParams();
    for (const name of NAMES) if (filter[name]) chosen.set(name, filter[name]);
    const text = chosen.toString();
    return text ? `#${text}` : "";
  }

  /* The entries that pass, in order; pages of a document and shots of a film stay together. */
  function select(filter, entries, references) {
    const text = plain(filter.text);
    const below = parseFloat(filter.below);
    const wanted = filter.reference && new Set(
      references.flatMap(([, path], number) => (plain(path).includes(plain(filter.reference)) ? [number] : [])),
    );
    let path = null;
    let hasText = true;
    const found = entries.filter((entry) => {
      if (text && entry.path !== path) {
        path = entry.path;
        hasText = plain(path).includes(text);
      }
      return hasText
        && (!filter.state || entry.state === filter.state)
        && (!filter.kind || entry.kind === filter.kind)
        && (!filter.doubtful || entry.isDoubtful)
        && (Number.isNaN(below) || (entry.confidence !== null && entry.confidence < below))
        && (!wanted || wanted.has(entry.reference))
        && isReviewed(entry, filter.review);
    });
    return ordered(found, filter.order);
  }

  function isReviewed(entry, review) {
    if (!review) return true;
    if (entry.state !== "done") return false;
    if (review === "reviewed") return entry.review !== "";
    return entry.review === (review === "unreviewed" ? "" : review);
  }

  function ordered(found, order) {
    if (order === "path") {
      return found.sort((a, b) => collator.compare(a.path, b.path) || a.page - b.page || a.shot - b.shot);
    }
    const field = order.replace("-", "");
    if (field !== "confidence" && field !== "match") return found; // as it comes: most doubtful first
    const sign = order.startsWith("-") ? -1 : 1;
    const value = (entry) => (entry[field] === null ? Infinity : sign * entry[field]);
    const keys = new Map(); // of a group: the value of its first picture, and its place
    for (const entry of found) {
      if (!entry.group) continue;
      const key = keys.get(entry.group) || { value: Infinity, index: entry.index };
      key.value = Math.min(key.value, value(entry));
      keys.set(entry.group, key);
    }
    const key = (entry) => (entry.group ? keys.get(entry.group) : { value: value(entry), index: entry.index });
    const keyed = found.map((entry) => ({ entry, ...key(entry) }));
    keyed.sort((a, b) => (a.value === b.value ? a.index - b.index || a.entry.index - b.entry.index : a.value < b.value ? -1 : 1));
    return keyed.map(({ entry }) => entry);
  }

  return { parse, format, select };
})();

