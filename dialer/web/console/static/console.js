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

const keys = (text, of) => text.replace(/\{([\w.]+)\}/g, (_, path) =>
  encodeURIComponent(path.split(".").reduce((value, key) => value?.[key], of)));

// A form is JSON; one that uploads sends its file as it is, and the rest in the address.
function request(form, said) {
  const headers = { "X-Dialer-CSRF": meta("csrf") };
  if ("upload" in form.dataset) {
    const file = form.elements.list.files[0];
    const { campaign, list, ...query } = said;
    const kind = /\.(jsonl|ndjson)$/i.test(file.name) ? "application/x-ndjson" : "text/csv";
    return ["?" + new URLSearchParams({ file: file.name, ...query }), { headers: { ...headers, "Content-Type": kind }, body: file }];
  }
  const whole = "files" in form.dataset ? { files: [said] } : said;
  return ["", { headers: { ...headers, "Content-Type": "application/json" }, body: JSON.stringify(whole) }];
}

async function send(form, tried) {
  const [method, path] = (tried ?? form.dataset.api).split(" ");
  if (form.dataset.sure && !window.confirm(form.dataset.sure)) return;
  const buttons = form.querySelectorAll("button");
  buttons.forEach((button) => { button.disabled = true; });
  try {
    const said = body(form);
    const [query, how] = request(form, said);
    const response = await fetch(meta("api") + keys(path, said) + query, { method, ...how });
    const answer = await response.json();
    if (response.ok && tried) {
      answered(form, answer);
    } else if (response.ok && form.dataset.then) {
      location.assign(keys(form.dataset.then, answer));
    } else if (response.ok) {
      say("Done.");
      form.reset();
      document.activeElement?.blur();
      show(await load());
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

function answered(form, answer) {
  const place = form.querySelector("[data-answer]");
  place.hidden = false;
  place.textContent = answer.items.map((plan) => [
    plan.version === null ? `${plan.campaign}: no change` : `${plan.campaign}: version ${plan.version} (${plan.state ?? "new"})`,
    ...plan.changes.map((each) => `  ${each.key}: ${JSON.stringify(each.old)} → ${JSON.stringify(each.new)}`),
  ].join("\n")).join("\n");
  say("Nothing wrong.");
}

// A click whose link is replaced between press and release is no click: nothing changes under a pointer that is down.
let held = false;
document.addEventListener("pointerdown", () => { held = true; });
for (const end of ["pointerup", "pointercancel", "dragend"]) {
  document.addEventListener(end, () => { setTimeout(() => { held = false; }); });
}

// Somebody who is writing, has chosen or opened something, is not interrupted.
function busy() {
  if (held) return true;
  const main = document.getElementById("main");
  const changed = (field) => field.type === "file" ? field.files.length
    : field.type === "checkbox" ? field.checked !== field.defaultChecked : field.value !== field.defaultValue;
  return main.querySelector("details[open], input:focus, select:focus, textarea:focus")
    || [...main.querySelectorAll("input, textarea")].some(changed);
}

// This page as it is now; nothing where it is not to be had.
async function load() {
  const response = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!response.ok || response.redirected) return null;
  return new DOMParser().parseFromString(await response.text(), "text/html");
}

// What is as it was stays where it is: a form whose file is just being chosen, a table somebody scrolls.
function renew(old, fresh) {
  const was = [...old.childNodes];
  const will = [...fresh.childNodes];
  if (was.length !== will.length) { old.replaceChildren(...will); return; }
  was.forEach((node, at) => {
    if (node.isEqualNode(will[at])) return;
    if (node.children?.length && node.cloneNode().isEqualNode(will[at].cloneNode())) renew(node, will[at]);
    else node.replaceWith(will[at]);
  });
}

function show(page) {
  if (!page) return;
  const main = document.getElementById("main");
  const focused = document.activeElement?.closest?.("main") ? document.activeElement.getAttribute("href") : null;
  renew(main, page.getElementById("main"));
  if (focused) main.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
}

document.addEventListener("submit", (event) => {
  if (!event.target.dataset.api) return;
  event.preventDefault();
  send(event.target, event.submitter?.dataset.try);
});

for (const link of document.querySelectorAll("nav a")) {
  if (link.pathname === location.pathname) link.setAttribute("aria-current", "page");
}

if (meta("csrf")) {
  let stale = false;
  let loading = false;
  const update = async () => {
    if (!stale || loading || busy()) return;
    loading = true;
    stale = false;
    // A page that is being left, or a dialer that starts anew, is no fault: it is asked again.
    try {
      const page = await load();
      if (busy()) stale = true; else show(page);
    } catch { stale = true; } finally { loading = false; }
  };
  new EventSource("/stream").addEventListener("changed", () => { stale = true; update(); });
  setInterval(update, 1000);
}
