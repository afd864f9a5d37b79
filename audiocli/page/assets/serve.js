"use strict";
/* Uploads recordings one after another, and shows what becomes of them. */
(() => {
  const limits = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id), root = document.documentElement;
  const list = $("recordings"), rows = new Map(), uploads = [];
  root.classList.add("js");
  history.replaceState(null, "", "/");  // the token is in a cookie by now, and need not be seen

  const make = (tag, css = "", text = "") => {
    const made = document.createElement(tag);
    if (css) made.className = css;
    made.textContent = text;
    return made;
  };
  const button = (text, label, act) => {
    const made = make("button", "tool", text);
    made.type = "button";
    made.ariaLabel = label;
    made.addEventListener("click", act);
    return made;
  };
  const link = (text, address, css = "") => {
    const made = make("a", css, text);
    made.href = address;
    return made;
  };
  const megabytes = (size) => size < 1e5 ? `${Math.ceil(size / 1e3)} kB` : `${(size / 1e6).toFixed(1)} MB`;
  const percent = (share) => `${Math.floor(100 * share)} %`;
  const say = (text) => { $("status").textContent = text; };

  // --- a row ----------------------------------------------------------------------------------
  const WORDS = {
    receiving: () => "uploading", waiting: () => "waiting",
    uploading: (one) => one.share ? `uploading, ${percent(one.share)}` : "waits to be uploaded",
    working: (one) => !one.begun ? "starting" : one.share < 1 ? `analysing, ${percent(one.share)}` : "finishing",
    done: () => "done", failed: () => "failed", cancelled: () => "cancelled",
  };
  class Row {
    constructor(name) {
      this.element = make("li", "card recording");
      this.state = make("span", "state");
      this.act = make("span");
      this.bar = make("progress");
      this.bar.max = 1;
      this.bar.ariaLabel = `Progress of ${name}`;
      this.rest = make("div");
      const top = make("div", "top");
      top.append(make("h3", "", name), this.state, this.act);
      this.element.append(top, this.bar, this.rest);
      list.prepend(this.element);
    }

    show(one, acts) {
      this.state.textContent = WORDS[one.state](one);
      const active = ["receiving", "uploading", "waiting", "working"].includes(one.state);
      this.bar.hidden = one.state === "waiting" || !active;
      if (one.state === "working" && !one.begun) this.bar.removeAttribute("value");
      else this.bar.value = one.share;
      if (this.element.dataset.state === one.state) return;
      if (this.element.dataset.state && !active) say(`${one.name}: ${one.error || WORDS[one.state](one)}`);
      this.element.dataset.state = one.state;
      this.act.replaceChildren(active ? button("Cancel", `Cancel ${one.name}`, acts.cancel)
        : button("Remove", `Remove ${one.name}`, acts.remove));
      this.rest.replaceChildren(...details(one));
    }
  }

  function* details(one) {
    if (one.error) yield make("p", "error", one.error);
    for (const warning of one.warnings || []) yield make("p", "warning", `Note: ${warning}`);
    if (one.state !== "done") return;
    const facts = make("dl", "facts");
    for (const [name, value] of Object.entries(one.facts)) {
      if (!SHOWN.includes(name)) continue;
      const pair = make("div");
      pair.append(make("dt", "", name), make("dd", "", value));
      facts.append(pair);
    }
    if (facts.children.length) yield facts;
    const base = `recordings/${one.id}`, links = make("div", "links");
    const page = link("Open the page", `${base}/page`, "tool first");
    page.target = "_blank";
    page.rel = "noopener";
    links.append(page, link("Download all (zip)", `${base}/all.zip`, "tool"));
    yield links;
    const sounds = make("div", "sounds"), files = make("ul");
    for (const { name, called, size } of one.files) {
      const address = `${base}/files/${encodeURIComponent(name)}`, entry = make("li");
      const found = link(called, address);
      found.download = called;
      entry.append(found, make("span", "", megabytes(size)));
      files.append(entry);
      if (!/\.(flac|wav)$/.test(name)) continue;
      const figure = make("figure"), audio = make("audio");
      audio.controls = true;
      audio.preload = "none";
      audio.src = address;
      audio.ariaLabel = `${name.replace(/\.\w+$/, "")} of ${one.name}`;
      figure.append(make("figcaption", "", name.replace(/\.\w+$/, "")), audio);
      sounds.append(figure);
    }
    if (sounds.children.length) yield sounds;
    const more = make("details");
    more.append(make("summary", "", `${one.files.length} files`), files);
    yield more;
  }
  const SHOWN = ["Duration", "Key", "Tempo", "Genre", "Mood", "Instrument", "Content", "Loudness"];
  document.addEventListener("play", (event) => {  // one at a time
    for (const other of document.querySelectorAll("audio")) if (other !== event.target) other.pause();
  }, true);

  // --- uploads --------------------------------------------------------------------------------
  let sending = false;
  function add(file, name) {
    const one = { file, name, state: "uploading", share: 0, error: "" };
    one.row = new Row(name);
    if (!file.size) one.error = `${name}: is empty, or a folder`;
    if (file.size > limits.fileBytes) one.error = `${name}: is larger than ${limits.fileBytes / 1e6} MB, the limit`;
    if (one.error) one.state = "failed";
    else uploads.push(one);
    showUpload(one);
    send();
  }
  function showUpload(one) {
    one.row.show(one, {
      cancel: () => {
        one.state = "cancelled";
        one.request?.abort();
        showUpload(one);
        showCount();
      },
      remove: () => { one.row.element.remove(); showCount(); },
    });
    showCount();
  }
  function send() {
    if (sending) return;
    let one = uploads.shift();
    while (one && one.state !== "uploading") one = uploads.shift();
    if (!one) return;
    sending = true;
    const request = one.request = new XMLHttpRequest();
    request.open("POST", `recordings?name=${encodeURIComponent(one.name.toWellFormed?.() ?? one.name)}`);
    request.upload.addEventListener("progress", (event) => {
      one.share = event.total ? event.loaded / event.total : 0;
      if (one.state === "uploading") showUpload(one);
    });
    request.addEventListener("loadend", () => {
      sending = false;
      if (request.status === 201) {
        const { id } = JSON.parse(request.responseText);
        rows.get(id)?.element.remove();  // the list may have been faster
        rows.set(id, one.row);
        poll();
      } else if (one.state === "uploading") {
        one.state = "failed";
        one.error = request.status ? request.responseText
          : `${one.name}: the upload broke off; the file may have changed, or audiocli has ended`;
        showUpload(one);
      }
      one.file = null;
      send();
    });
    request.send(one.file);
  }

  // --- what is dropped or chosen ----------------------------------------------------------------
  const isAudio = (name) => limits.endings.some((ending) => name.toLowerCase().endsWith(ending));
  const read = (entry, way) => new Promise((resolve, reject) => entry[way](resolve, reject));
  async function walk(entry, inside) {  // gives the number of files that it adds
    if (entry.isFile) {
      if (inside && !isAudio(entry.name)) return 0;
      add(await read(entry, "file"), inside ? entry.fullPath.replace(/^\//, "") : entry.name);
      return 1;
    }
    const reader = entry.createReader();
    let count = 0;
    for (let some; (some = await read(reader, "readEntries")).length;) {
      for (const each of some) if (!each.name.startsWith(".")) count += await walk(each, true);
    }
    return count;
  }
  async function take(transfer) {
    const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    if (!entries.length) for (const file of transfer.files) add(file, file.name);
    const troubles = [];
    for (const entry of entries) {
      try {
        if (!await walk(entry, false)) troubles.push(`${entry.name}: no audio in this folder`);
      } catch {
        troubles.push(`${entry.name}: cannot be read`);
      }
    }
    trouble(troubles.join("; "));
  }
  let over = 0;
  const drop = $("drop");
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("dragenter", () => drop.classList.toggle("over", ++over > 0));
  addEventListener("dragleave", () => drop.classList.toggle("over", --over > 0));
  addEventListener("drop", (event) => {
    event.preventDefault();
    over = 0;
    drop.classList.remove("over");
    trouble("");
    take(event.dataTransfer);
  });
  $("choose").addEventListener("click", () => $("files").click());
  $("files").addEventListener("change", () => {
    trouble("");
    for (const file of $("files").files) add(file, file.name);
    $("files").value = "";
  });

  // --- what the server says -----------------------------------------------------------------------
  let timer = 0, lost = false;
  function trouble(text) {
    $("trouble").textContent = text;
    $("trouble").hidden = !text;
  }
  function showCount() { $("none").hidden = list.children.length > 0; }
  async function ask(address, method) {
    await fetch(address, { method }).catch(() => {});
    poll();
  }
  async function poll() {
    clearTimeout(timer);
    let busy = false;
    try {
      const answer = await fetch("state");
      if (!answer.ok) throw new Error(await answer.text());
      busy = update((await answer.json()).recordings);
      if (lost) trouble("");
      lost = false;
    } catch (error) {
      lost = true;
      trouble(error instanceof TypeError ? "audiocli does not answer any more; it may have ended. Start it again, and open the address that it prints." : error.message);
    }
    clearTimeout(timer);
    timer = setTimeout(poll, busy ? 700 : 3000);
  }
  function update(recordings) {
    const present = new Set();
    for (const one of recordings) {
      present.add(one.id);
      if (one.state === "receiving") continue;  // the row of the upload is there, in some browser
      if (!rows.has(one.id)) rows.set(one.id, new Row(one.name));
      rows.get(one.id).show(one, {
        cancel: () => ask(`recordings/${one.id}/cancel`, "POST"),
        remove: () => ask(`recordings/${one.id}`, "DELETE"),
      });
    }
    for (const [id, row] of rows) {
      if (present.has(id)) continue;
      row.element.remove();
      rows.delete(id);
    }
    showCount();
    return recordings.some((one) => ["receiving", "waiting", "working"].includes(one.state));
  }

  $("theme").addEventListener("click", () => {
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
  poll();
})();
