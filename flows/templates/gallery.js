/* The page: filters above, the pictures below. */
(() => {
  const PART = 10000; // pictures in one list: browsers do not scroll through pages of any height
  const CARD_WIDTH = 560; // pixels; more columns where there is room for more
  const SECTIONS = { failed: "Failed", skipped: "Left out", doubtful: "Doubtful references", done: "Colorized" };

  if (location.hash === "#static") { // the pages for printing
    window.galleryData = () => {};
    return;
  }
  document.documentElement.classList.add("js");

  let filter = Filter.parse(location.hash);
  let found = [];
  let part = 0;
  let columns = 1;
  let app, form, list, status, rowsShown;

  function start() {
    app = document.getElementById("app");
    form = document.getElementById("filters");
    list = document.getElementById("list");
    status = document.getElementById("found");
    rowsShown = RowWindow(list);
    form.addEventListener("input", onInput);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", (event) => {
      event.preventDefault();
      Cards.setAll(50);
      choose({});
    });
    Cards.onReference((path) => choose({ ...filter, reference: path }));
    window.addEventListener("hashchange", () => {
      if (location.hash === "#static") location.reload();
      else choose(Filter.parse(location.hash), false);
    });
    new ResizeObserver(() => columnsFor() !== columns && rows()).observe(list);
  }

  Data.on("list", () => {
    if (!app) start(); // data may come before the event that the page is there
    const isFirst = app.hidden;
    if (isFirst) {
      document.getElementById("static").remove();
      app.hidden = false;
      decorate();
    }
    if (Data.isWhole()) options();
    show(isFirst || filter.order !== "" ? "top" : "keep");
  });
  Data.on("chunk", (number) => {
    const size = Data.run().chunkItems;
    rowsShown.refresh((row) => row.entries.some((entry) => Math.floor(entry.index / size) + 1 === number));
  });
  Data.on("problem", (message) => {
    if (app && !app.hidden) status.textContent = message;
    else document.documentElement.classList.remove("js");
  });

  function onInput(event) {
    if (event.target.name === "split") {
      Cards.setAll(Number(event.target.value));
      return;
    }
    const chosen = Object.fromEntries(new FormData(form));
    delete chosen.split;
    choose(chosen, true, false);
  }

  /* Take a filter over: into the address, the form and the list. */
  function choose(chosen, isNew = true, toForm = true) {
    filter = { ...Filter.parse(""), ...chosen };
    part = 0;
    if (isNew) history.replaceState(null, "", Filter.format(filter) || location.pathname + location.search);
    if (toForm) fill();
    show("top");
  }

  function fill() {
    for (const [name, value] of Object.entries(filter)) {
      const field = form.elements[name];
      if (field.type === "checkbox") field.checked = Boolean(value);
      else field.value = value;
    }
  }

  function show(where) {
    found = Filter.select(filter, Data.entries, Data.run().references);
    rows();
    tellCounts();
    parts();
    if (where === "top" && list.getBoundingClientRect().top < 0) form.scrollIntoView();
  }

  function tellCounts() {
    const number = new Intl.NumberFormat("en");
    const items = (entries) => new Set(entries.map((entry) => entry.item)).size;
    const of = (state) => items(found.filter((entry) => entry.state === state));
    const all = Data.run().items;
    const counts = [
      `${number.format(of("done"))} colorized`, `${number.format(of("failed"))} failed`, `${number.format(of("skipped"))} left out`,
      `${number.format(items(found.filter((entry) => entry.isDoubtful)))} with a doubtful reference`,
    ];
    const shown = items(found);
    status.textContent = `${shown === all ? "" : `${number.format(shown)} of `}${number.format(all)} items${Data.isWhole() ? "" : " (loading)"}: ${counts.join(", ")}`;
  }

  /* Lay the pictures out in rows: heads of sections, documents and films; failures; cards side by side. */
  function rows() {
    columns = columnsFor();
    const laid = [];
    const shown = found.slice(part * PART, (part + 1) * PART);
    const inGroups = new Map();
    for (const entry of shown) if (entry.group) inGroups.set(entry.group, (inGroups.get(entry.group) || 0) + 1);
    const groupDoubts = new Set(shown.filter((entry) => entry.group && entry.isDoubtful).map((entry) => entry.group));
    let section = null;
    let group = null;
    let cards = null;
    const sections = new Map();
    shown.forEach((entry, place) => {
      const isDoubtful = entry.isDoubtful || groupDoubts.has(entry.group);
      const own = entry.state === "done" && isDoubtful ? "doubtful" : entry.state;
      if (filter.order === "" && own !== section) {
        section = own;
        cards = group = null;
        laid.push({ type: "section", section, entries: [] });
      }
      sections.set(own, (sections.get(own) || 0) + 1);
      if (entry.state !== "done") {
        cards = null;
        laid.push({ type: "problem", entries: [entry], place });
        return;
      }
      if (entry.group !== group) {
        if (group && !entry.group) laid.push({ type: "rule", entries: [] });
        group = entry.group;
        cards = null;
        if (group) laid.push({ type: "group", entries: [entry], shown: inGroups.get(group) });
      }
      if (!cards || cards.entries.length === columns) {
        cards = { type: "cards", entries: [], place };
        laid.push(cards);
      }
      cards.entries.push(entry);
    });
    const guess = { section: 60, rule: 18, problem: 76, group: 110, cards: columns > 1 ? 400 : 640 };
    rowsShown.set(laid, (row) => guess[row.type], (row) => build(row, sections, part * PART, found.length));
  }

  function build(row, sections, offset, count) {
    const make = Cards.make;
    const at = (number) => offset + row.place + number + 1;
    if (row.type === "section") {
      return make("div", { class: "row section" }, make("h2", {}, `${SECTIONS[row.section]} (${sections.get(row.section)})`));
    }
    if (row.type === "rule") return make("div", { class: "row rule" });
    if (row.type === "group") return make("div", { class: "row" }, Cards.group(row.entries[0], row.shown));
    if (row.type === "problem") return make("div", { class: "row" }, Cards.problem(row.entries[0], at(0), count));
    const element = make("div", { class: "row cards" }, ...row.entries.map((entry, number) => Cards.card(entry, at(number), count)));
    element.style.setProperty("--columns", columns);
    return element;
  }

  function columnsFor() {
    return Math.max(1, Math.floor((list.clientWidth || CARD_WIDTH) / CARD_WIDTH));
  }

  /* What a page needs that has many pictures: a choice of parts. */
  function parts() {
    const nav = document.getElementById("parts");
    const count = Math.ceil(found.length / PART);
    nav.hidden = count < 2;
    nav.replaceChildren(
      ...Array.from({ length: nav.hidden ? 0 : count }, (_, number) =>
        Cards.make("button", {
          type: "button", "aria-current": number === part ? "true" : null,
          onclick: () => {
            part = number;
            rows();
            parts();
            form.scrollIntoView();
          },
        }, `${number * PART + 1} – ${Math.min(found.length, (number + 1) * PART)}`)),
    );
  }

  /* Counts in the choices, once everything is known. */
  function options() {
    const count = (name, value) => {
      const wanted = Filter.select({ ...Filter.parse(""), [name]: value }, Data.entries, []);
      return new Set(wanted.map((entry) => entry.item)).size;
    };
    for (const name of ["state", "kind", "review"]) {
      for (const option of form.elements[name].options) {
        option.dataset.label ||= option.textContent;
        if (option.value) option.textContent = `${option.dataset.label} (${count(name, option.value)})`;
      }
    }
  }

  /* What the script adds to the static head and foot of the page. */
  function decorate() {
    const make = Cards.make;
    fill();
    if (window.innerWidth < 640) document.getElementById("figures").open = false; // the pictures first on a phone
    const names = Data.run().references.slice(0, 500).map(([, path]) => path);
    document.getElementById("reference-list").append(...[...new Set(names)].map((path) => make("option", { value: path })));
    for (const cell of document.querySelectorAll('[data-bars="references"] bdi')) {
      const path = cell.textContent;
      cell.replaceWith(make("button", { type: "button", class: "link", translate: "no", title: "show all that have it", onclick: () => choose({ reference: path }) }, path));
    }
    for (const bar of document.querySelectorAll(".histogram rect")) {
      bar.classList.add("can-be-chosen");
      bar.addEventListener("click", () => choose({ below: bar.dataset.below }));
    }
    const printable = document.getElementById("printable");
    const pages = Array.from({ length: Number(printable.dataset.pages) }, (_, number) =>
      make("a", { href: number ? `page-${number + 1}.html` : "index.html#static" }, String(number + 1)));
    printable.append("Pages for printing, and for browsers without scripts: ", ...pages.flatMap((link) => [link, " "]));
    printable.hidden = false;
  }

  document.addEventListener("DOMContentLoaded", () => {
    if (!app) document.documentElement.classList.remove("js"); // without data the static page stays
  });
})();
