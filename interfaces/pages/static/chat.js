// The conversation: sentences are sent without loading the page, the answer is followed as it comes.
import { load, put, remember, say, swap } from "./swap.js";

const windows = "BroadcastChannel" in window ? new BroadcastChannel("smartcampaign") : null;
let source = null;
let sending = false;
let queued = false;

const at = (name) => document.getElementById(name);
const parts = ["log", "threads", "composer-state", "under", "note", "pages"];

function near() {
  return innerHeight + scrollY > document.documentElement.scrollHeight - 160;
}

// To the end; of a turn that is longer than the window, to its beginning.
function down() {
  const turn = at("log").querySelector(".turn:last-of-type");
  const { top = 0, height = 0 } = turn?.getBoundingClientRect() ?? {};
  const room = innerHeight - at("composer").offsetHeight - 120;
  scrollTo({ top: height > room ? scrollY + top - 72 : document.documentElement.scrollHeight });
}

function lost(text) {
  const place = at("connection");
  if (place && place.textContent !== text) place.textContent = text;
}

// Send a sentence, an answer to a question, or "stop".
async function send(form, submitter) {
  if (sending) return;
  if (source && form.id === "composer") {
    queued = true;
    lost("This is sent as soon as the answer before is there.");
    return;
  }
  sending = true;
  form.setAttribute("aria-busy", "true");
  const box = at("say");
  const typed = form.id === "composer" ? box.value : null;
  const body = new URLSearchParams(new FormData(form, submitter));
  if (typed !== null) show(typed);
  try {
    const page = await load(form.action, { method: "POST", body });
    if (!page.document.getElementById("log")) return void refuse(page);
    lost("");
    take(page, typed);
    windows?.postMessage(location.pathname);
  } catch {
    at("turn-sent")?.remove();
    lost("The program can't be reached. Nothing was lost: send it again in a moment.");
  } finally {
    sending = false;
    form.removeAttribute("aria-busy");
  }
}

// The answer is no conversation: an old form, a session that ended.
function refuse(page) {
  at("turn-sent")?.remove();
  const problem = page.document.getElementById("problem");
  if (problem) lost(problem.textContent);
  else location.reload();
}

// What was said is there at once.
function show(text) {
  const turn = document.createElement("article");
  turn.className = "turn";
  turn.id = "turn-sent";
  const said = document.createElement("div");
  said.className = "said";
  said.textContent = text;
  turn.append(said);
  at("log").append(turn);
  down();
}

// Take over what the server says of the conversation.
function take(page, typed) {
  const began = location.pathname === "/";
  if (began) {
    document.querySelector(".welcome")?.remove();
    at("composer").action = page.document.getElementById("composer").getAttribute("action");
  }
  swap(page.document, parts);
  document.title = page.document.title;
  remember(page.url, began);
  const fresh = page.document.getElementById("say");
  if (typed !== null && at("say").value === typed) at("say").value = fresh ? fresh.value : "";
  if (!matchMedia("(pointer: coarse)").matches) at("say").focus({ preventScroll: true });
  down();
  follow();
}

// Follow the answer under way; a connection that is lost is taken up again, from what was seen last.
function follow() {
  source?.close();
  source = null;
  const address = at("log")?.dataset.follow;
  if (!address) {
    decide();
    if (queued) {
      queued = false;
      lost("");
      at("composer").requestSubmit();
    }
    return;
  }
  const stream = (source = new EventSource(address));
  stream.addEventListener("open", () => lost(""));
  stream.addEventListener("part", (event) => {
    const keep = near();
    const box = document.createElement("template");
    box.innerHTML = event.data;
    const fresh = box.content.firstElementChild;
    const old = at(fresh.id);
    if (old) put(old, fresh);
    const running = document.querySelector(".step.running .line");
    if (running) say(running.textContent);
    if (keep) down();
  });
  stream.addEventListener("end", async () => {
    stream.close();
    await refresh();
    windows?.postMessage(location.pathname);
  });
  stream.addEventListener("error", () => {
    lost("The connection was lost. Trying again; the answer goes on meanwhile.");
    if (stream.readyState === EventSource.CLOSED && source === stream) setTimeout(follow, 1500);
  });
}

// Show the conversation as it stands.
async function refresh() {
  try {
    const keep = near();
    const page = await load(location.href);
    if (!page.ok) return;
    swap(page.document, parts);
    lost("");
    if (keep) down();
    follow();
  } catch {
    lost("The connection was lost. Trying again.");
    setTimeout(refresh, 1500);
  }
}

// What the answer came to: said to screen readers, and what asks for a decision is shown.
function decide() {
  const log = at("log");
  if (log?.dataset.announce) {
    say(log.dataset.announce);
    delete log.dataset.announce;
  }
}

function grow() {
  const box = at("say");
  if (CSS.supports("field-sizing", "content")) return;
  box.rows = Math.min(8, box.value.split("\n").length);
}

export function startChat() {
  if (!at("composer")) return;
  document.addEventListener("submit", (event) => {
    if (event.target.dataset.chat === undefined) return;
    event.preventDefault();
    send(event.target, event.submitter);
  });
  at("say").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    if (at("say").value.trim()) at("composer").requestSubmit();
  });
  at("say").addEventListener("input", grow);
  // Another window went on with this conversation.
  windows?.addEventListener("message", (event) => {
    if (event.data === location.pathname && !sending && !source) refresh();
  });
  addEventListener("pageshow", (event) => {
    if (event.persisted) refresh();
  });
  if (!matchMedia("(pointer: coarse)").matches && !location.hash) at("say").focus();
  if (at("log").children.length && !location.hash) down();
  follow();
}
