"use strict";
// Pages are whole without this script; it sends their forms to the API, and keeps them up to date.
const meta = (name) => document.querySelector(`meta[name="${name}"]`)?.content;
const told = document.getElementById("told");

function say(text, wrong = false) {
  told.textContent = text;
  told.classList.toggle("wrong", wrong);
}

function body(form) {
  const said = {};
  for (const field of form.elements) {
    if (!field.name || field.value === "") continue;
    if (field.type === "checkbox") { said[field.name] = field.checked; continue; }
    if ("list" in field.dataset) said[field.name] = field.value.split(/[,;]+/).map((each) => each.trim());
    else if ("time" in field.dataset) said[field.name] = new Date(field.value).toISOString();
    else said[field.name] = field.value;
  }
  return said;
}

async function send(form) {
  const [method, path] = form.dataset.api.split(" ");
  if (form.dataset.sure && !window.confirm(form.dataset.sure)) return;
  const buttons = form.querySelectorAll("button");
  buttons.forEach((button) => { button.disabled = true; });
  try {
    const response = await fetch(meta("api") + path, {
      method,
      headers: { "Content-Type": "application/json", "X-Dialer-CSRF": meta("csrf") },
      body: JSON.stringify(body(form)),
    });
    const answer = await response.json();
    if (response.ok && form.dataset.then) {
      location.assign(form.dataset.then.replace(/\{(\w+)\}/g, (_, key) => encodeURIComponent(answer[key])));
    } else if (response.ok) {
      say("Done.");
      form.reset();
      document.activeElement?.blur();
      await refresh();
    } else {
      const faults = (answer.errors ?? []).map((fault) => `${fault.at}: ${fault.detail}`);
      say([answer.detail || answer.title, ...faults].join("; "), true);
    }
  } catch (error) {
    say(`The dialer does not answer: ${error.message}`, true);
  } finally {
    buttons.forEach((button) => { button.disabled = false; });
  }
}

// Somebody who is writing, or has opened something, is not interrupted.
function busy() {
  const main = document.getElementById("main");
  return main.querySelector("details[open]") || main.querySelector("input:focus, select:focus");
}

async function refresh() {
  const response = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!response.ok || response.redirected) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const main = document.getElementById("main");
  const focused = document.activeElement?.closest?.("main") ? document.activeElement.getAttribute("href") : null;
  main.replaceChildren(...page.getElementById("main").childNodes);
  if (focused) main.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
}

document.addEventListener("submit", (event) => {
  if (!event.target.dataset.api) return;
  event.preventDefault();
  send(event.target);
});

for (const link of document.querySelectorAll("nav a")) {
  if (link.pathname === location.pathname) link.setAttribute("aria-current", "page");
}

if (meta("csrf")) {
  let waiting = false;
  const stream = new EventSource("/stream");
  stream.addEventListener("changed", async () => {
    if (waiting || busy()) return;
    waiting = true;
    try { await refresh(); } finally { waiting = false; }
  });
}
