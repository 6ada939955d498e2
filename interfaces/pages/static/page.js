// What makes the pages lively. Every form and link works without it.
import { load, put, remember, swap } from "./swap.js";
import { startChat } from "./chat.js";

const busy = new WeakSet();

// A form that swaps parts of its page instead of loading another: <form data-swap="id id">.
async function send(form, submitter) {
  if (busy.has(form)) return;
  busy.add(form);
  form.setAttribute("aria-busy", "true");
  const fields = new FormData(form, submitter);
  const isGet = form.method === "get";
  const address = new URL(form.getAttribute("action") || location.href, location.href);
  if (isGet) address.search = new URLSearchParams([...fields].filter(([, value]) => value !== "")).toString();
  const names = form.dataset.swap.split(" ");
  try {
    const page = await load(address, isGet ? {} : { method: "POST", body: new URLSearchParams(fields) });
    if (!page.document.getElementById(names[0])) return void elsewhere(page);
    swap(page.document, [...names, "note", "pages"]);
    remember(page.url, false);
    if (!isGet) focus(document.querySelector("#note .note") ?? document.getElementById(form.dataset.focus));
  } catch {
    tell("The program can't be reached. Nothing was lost: try again in a moment.");
  } finally {
    busy.delete(form);
    form.removeAttribute("aria-busy");
  }
}

// The answer is another page: a refusal is said here, anything else is opened.
function elsewhere(page) {
  const problem = page.document.getElementById("problem");
  if (problem) tell(problem.textContent);
  else location.href = page.url;
}

function tell(text) {
  const note = document.createElement("p");
  note.className = "note bad";
  note.tabIndex = -1;
  note.textContent = text;
  document.getElementById("note").replaceChildren(note);
  focus(note);
}

function focus(element) {
  element?.focus();
  element?.scrollIntoView({ block: "nearest" });
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.swap === undefined || event.defaultPrevented) return;
  event.preventDefault();
  send(form, event.submitter);
});

// A search that answers while one types: <form data-live>.
let typing;
document.addEventListener("input", (event) => {
  const form = event.target.form;
  if (form?.dataset.live === undefined) return;
  clearTimeout(typing);
  typing = setTimeout(() => send(form), event.target.tagName === "SELECT" ? 0 : 300);
});

// A part that changes by itself until it says that it is done: <div id data-again="milliseconds">.
function again() {
  for (const part of document.querySelectorAll("[data-again]")) {
    setTimeout(async () => {
      if (!part.isConnected) return;
      try {
        const page = await load(location.href);
        const fresh = page.document.getElementById(part.id);
        if (fresh) put(part, document.adoptNode(fresh));
      } catch {
        part.dataset.again = "3000"; // the program is away for a moment
      }
      again();
    }, Number(part.dataset.again));
  }
}

// What was said once leaves the address.
remember(location.href, false);
document.querySelector("#note .note, #problem")?.focus();
again();
startChat();
