// Parts of a page are replaced by the same parts of another page that the server made.

// Fetch a page or send a form, as somebody who swaps parts. Resolves to { document, url, ok }.
export async function load(address, options = {}) {
  const headers = { ...options.headers, "sc-part": "1" };
  const answer = await fetch(address, { ...options, headers, credentials: "same-origin" });
  const text = await answer.text();
  return { document: new DOMParser().parseFromString(text, "text/html"), url: answer.url, ok: answer.ok };
}

// Put the elements of `names` from another document in place of ours. What was unfolded stays so; focus stays.
export function swap(from, names) {
  for (const name of names) {
    const fresh = from.getElementById(name);
    const old = document.getElementById(name);
    if (fresh && old) put(old, document.adoptNode(fresh));
  }
}

export function put(old, fresh) {
  const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
  for (const details of old.querySelectorAll("details[id][open]")) {
    const same = fresh.querySelector(`#${CSS.escape(details.id)}`);
    if (same) same.open = true;
  }
  old.replaceWith(fresh);
  if (focused) (document.getElementById(focused) ?? fresh).focus({ preventScroll: true });
}

// The address without the name of a sentence that was shown once.
export function remember(url, push = true) {
  const address = new URL(url, location.href);
  address.searchParams.delete("note");
  const same = address.pathname + address.search === location.pathname + location.search;
  if (push && !same) history.pushState({}, "", address);
  else history.replaceState({}, "", address);
}

export function say(text) {
  const announcer = document.getElementById("announcer");
  if (announcer && text) announcer.textContent = text;
}
