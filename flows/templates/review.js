// The pages of `archive-colorizer review serve`: the slider, the confidence map, decisions by click and key.
"use strict";

const body = document.body;
const byId = (id) => document.getElementById(id);
const POLL_MILLISECONDS = 400;
let isLeaving = false;

function tell(message) {
  const notice = byId("notice");
  notice.textContent = message;
  notice.hidden = !message;
  if (message) notice.scrollIntoView({ block: "nearest" });
}

async function ask(address, content) {
  const request = content === undefined ? {} : {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Review-Token": body.dataset.token },
    body: JSON.stringify(content),
  };
  let answer;
  try {
    answer = await fetch(address, request);
  } catch {
    throw new Error("The server does not answer: was it stopped? Start `archive-colorizer review serve` again.");
  }
  const found = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(found.error || `The server answered ${answer.status}.`);
  return found;
}

async function attempt(work) {
  tell("");
  try {
    await work();
  } catch (error) {
    isLeaving = false;
    tell(error.message);
  }
}

// Pictures that cannot be shown say why.

async function explain(image) {
  let why = `${image.alt} cannot be shown.`;
  try {
    const answer = await fetch(image.currentSrc || image.src);
    if (!answer.ok) why = (await answer.json()).error || why;
  } catch {
    why = "The server does not answer.";
  }
  const problem = document.createElement("span");
  problem.className = "problem";
  problem.setAttribute("role", "alert");
  problem.textContent = why;
  image.hidden = true;
  image.parentElement.append(problem);
}

function watch(image) {
  if (image.complete && image.getAttribute("src") && image.naturalWidth === 0) explain(image);
  else image.addEventListener("error", () => explain(image), { once: true });
}

// Scan and colour, one over the other.

const stage = byId("stage");
const cut = byId("cut");
let before = 50;

function setCut(percent) {
  const value = Math.min(100, Math.max(0, percent));
  cut.value = value;
  stage.style.setProperty("--cut", `${value}%`);
  stage.classList.toggle("is-scan", value >= 99);
  stage.classList.toggle("is-colour", value <= 1);
  byId("turn").setAttribute("aria-pressed", String(value >= 99));
}

function turn() {
  const value = Number(cut.value);
  if (value >= 99) {
    setCut(before >= 99 ? 0 : before);
  } else {
    before = value;
    setCut(100);
  }
}

function setUpStage() {
  const ratio = (width, height) => stage.style.setProperty("--ratio", String(width / height));
  ratio(Number(stage.dataset.width), Number(stage.dataset.height));
  const colour = byId("colour");
  const fit = () => colour.naturalWidth && ratio(colour.naturalWidth, colour.naturalHeight);
  if (colour.complete) fit(); else colour.addEventListener("load", fit);
  cut.addEventListener("input", () => setCut(Number(cut.value)));
  const drag = (event) => {
    const box = stage.getBoundingClientRect();
    setCut((100 * (event.clientX - box.left)) / box.width);
  };
  stage.addEventListener("pointerdown", (event) => {
    if (event.target.closest(".problem")) return;
    stage.setPointerCapture(event.pointerId);
    drag(event);
  });
  stage.addEventListener("pointermove", (event) => stage.hasPointerCapture(event.pointerId) && drag(event));
  byId("turn").addEventListener("click", turn);
  setCut(50);
}

async function toggleMap() {
  const map = byId("map");
  if (!map) return;
  const button = byId("show-map");
  if (!map.getAttribute("src")) {
    button.disabled = true;
    tell("");
    const label = button.innerHTML;
    button.textContent = "Computing…";
    try {
      // Asked for by hand, so that a refusal (something else is being computed) can be told and tried again.
      const answer = await fetch(map.dataset.src);
      if (!answer.ok) throw new Error((await answer.json()).error || `The server answered ${answer.status}.`);
      map.src = URL.createObjectURL(await answer.blob());
      await map.decode();
    } catch (error) {
      map.removeAttribute("src");
      tell(`The confidence map cannot be shown: ${error.message}`);
      return;
    } finally {
      button.disabled = false;
      button.innerHTML = label;
    }
  }
  map.hidden = !map.hidden;
  byId("legend").hidden = map.hidden;
  button.setAttribute("aria-pressed", String(!map.hidden));
}

// Decisions.

function leave(address) {
  isLeaving = true;
  location.assign(address);
}

function decide(decision) {
  if (isLeaving) return;
  const reason = byId("reason");
  const form = byId("decide");
  const lacksReason = decision === "rejected" && !reason.value.trim();
  form.classList.toggle("wants-reason", lacksReason);
  form.dataset.pending = lacksReason ? "rejected" : "";
  if (lacksReason) {
    tell("Say why it is rejected, then press Enter.");
    reason.focus();
    return;
  }
  isLeaving = true;
  attempt(async () => leave((await ask(body.dataset.decision, { decision, reason: reason.value })).next));
}

function choose(button) {
  if (isLeaving || !button || button.disabled) return;
  const choice = { reference_id: Number(button.dataset.reference), reason: byId("reason").value };
  if (body.dataset.shot) choice.shot = Number(body.dataset.shot);
  attempt(async () => follow((await ask(body.dataset.choice, choice)).job));
}

// Work in hand: shown on every page, and this page goes on when it was about its item.

function describe(job) {
  if (job.state === "failed") return `${job.about} was not colorized again: ${job.error}`;
  if (job.state === "done") return `${job.about} was colorized again.`;
  const count = job.total ? ` (${job.through} of ${job.total} ${job.unit})` : "";
  return `Colorizing ${job.about} again: ${job.says || "waiting"}${count}`;
}

function show(job) {
  const area = byId("job");
  area.querySelectorAll("a").forEach((link) => link.remove());
  const bar = byId("job-bar");
  area.hidden = false;
  area.classList.toggle("is-failed", job.state === "failed");
  byId("job-text").textContent = describe(job);
  bar.hidden = job.state !== "running";
  // A single picture has no steps worth counting: the bar then only says that something is done.
  if (job.total > 1) {
    bar.max = job.total;
    bar.value = job.through;
  } else {
    bar.removeAttribute("value");
  }
  const isOurs = String(job.colorization_id) === body.dataset.item;
  for (const button of document.querySelectorAll(".candidate")) {
    button.disabled = job.state === "running" || button.hasAttribute("aria-current");
  }
  for (const id of ["approve", "reject"]) if (byId(id)) byId(id).disabled = isOurs && job.state === "running";
}

async function follow(job) {
  let current = job;
  show(current);
  while (current.state === "running") {
    await new Promise((resolve) => setTimeout(resolve, POLL_MILLISECONDS));
    current = (await ask("/job")).job;
    show(current);
  }
  if (current.state === "done" && String(current.colorization_id) === body.dataset.item) {
    const address = new URL(`/item/${current.result}${body.dataset.query}`, location.href);
    if (body.dataset.shot) address.searchParams.set("shot", body.dataset.shot);
    isLeaving = true;
    location.replace(address);
  } else if (current.state === "done") {
    const link = document.createElement("a");
    link.href = `/item/${current.result}${body.dataset.query || ""}`;
    link.textContent = "Look at it";
    byId("job").append(link);
  }
}

async function takeUp() {
  const { job } = await ask("/job");
  if (job && job.state === "running") await follow(job);
}

// Keys.

function click(id) {
  const found = byId(id);
  if (found) found.click();
}

const KEYS = {
  a: () => click("approve"),
  r: () => click("reject"),
  n: () => click("next"),
  p: () => click("previous"),
  c: () => toggleMap(),
  g: () => turn(),
  l: () => leave(`/${body.dataset.query}`),
  "?": () => byId("keys").showModal(),
  ArrowLeft: () => setCut(Number(cut.value) - 5),
  ArrowRight: () => setCut(Number(cut.value) + 5),
};

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || byId("keys").open) return;
  const target = event.target;
  if (target === byId("reason")) {
    if (event.key === "Escape") target.blur();
    return;
  }
  if (target.matches("input, textarea, select") && event.key.startsWith("Arrow")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (/^[1-9]$/.test(key)) {
    choose(document.querySelectorAll(".candidate")[Number(key) - 1]);
  } else if (Object.hasOwn(KEYS, key)) {
    event.preventDefault();
    KEYS[key]();
  }
}

function setUpItem() {
  setUpStage();
  byId("approve").addEventListener("click", () => decide("approved"));
  byId("reject").addEventListener("click", () => decide("rejected"));
  byId("decide").addEventListener("submit", (event) => {
    event.preventDefault();
    if (byId("decide").dataset.pending) decide(byId("decide").dataset.pending);
  });
  byId("help").addEventListener("click", () => byId("keys").showModal());
  if (byId("show-map")) byId("show-map").addEventListener("click", toggleMap);
  for (const button of document.querySelectorAll(".candidate")) button.addEventListener("click", () => choose(button));
  document.addEventListener("keydown", onKey);
}

async function stop() {
  await ask("/stop", {});
  document.querySelector("main").textContent = "The review has ended. This page can be closed.";
  byId("stop").hidden = true;
}

// The next item's pictures are made while this one is looked at.
function prepareNext() {
  if (!body.dataset.next) return;
  for (const kind of ["grey", "colour"]) new Image().src = `/picture/${kind}/${body.dataset.next}`;
}

if (byId("stop")) byId("stop").addEventListener("click", () => attempt(stop));
window.addEventListener("load", prepareNext);
// A page that the browser took out of its memory is as it was when it was left: the record has gone on.
window.addEventListener("pageshow", (event) => event.persisted && location.reload());
document.querySelectorAll("img[src]").forEach(watch);
if (stage) setUpItem();
attempt(takeUp);
