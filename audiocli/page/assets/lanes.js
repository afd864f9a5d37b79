"use strict";
/* What is drawn along time, one lane below the other, in a strip that zooms and scrolls. */
(() => {
  const { data } = audiocli;
  const seconds = Math.max(data.seconds, 1e-6);
  const SVG = "http://www.w3.org/2000/svg";
  const lanes = document.getElementById("lanes");

  const make = (tag, name = "", text = "") => {
    const element = document.createElement(tag);
    if (name) element.className = name;
    if (text) element.textContent = text;
    return element;
  };
  const place = (element, start, end) => {
    element.style.left = `${(100 * start) / seconds}%`;
    element.style.width = `${(100 * Math.max(end - start, 0)) / seconds}%`;
    return element;
  };

  function lane(title, kind, bodyKind) {
    const row = make("div", `lane ${kind}`), caption = make("div", "caption");
    const body = make("div", `body ${bodyKind}`);
    caption.append(make("span", "", title));
    row.append(caption, body);
    lanes.append(row);
    return { row, caption, body };
  }

  function paths(body, height, ...kinds) {
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", `0 0 ${seconds} ${height}`);
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    for (const [kind, shape] of kinds) {
      const path = document.createElementNS(SVG, "path");
      path.setAttribute("class", kind);
      path.setAttribute("d", shape);
      svg.append(path);
    }
    body.append(svg);
  }
  const ticks = (times, height) => times.map((time) => `M${time} 0V${height}`).join("");

  function spectrogram(body, name, picture) {
    const hertz = make("span", "hertz");
    for (const [share, label] of data.ticks) {
      const tick = make("i", "", label);
      tick.style.top = `calc((1 - ${share}) * var(--height))`;
      hertz.append(tick);
    }
    const image = make("img");
    image.alt = name;
    image.src = picture;
    image.draggable = false;
    body.append(hertz, image);
  }

  const controls = [];  // of stems: called to show what they are set to

  function stemControls(caption, stem, name, player) {
    const toggle = (kind, field, letter) => {
      const button = make("button", `toggle ${kind}`, letter);
      button.type = "button";
      button.title = button.ariaLabel = `${letter} ${name}`;
      button.addEventListener("click", () => { stem[field] = !stem[field]; audiocli.mix(); });
      controls.push(() => button.setAttribute("aria-pressed", String(stem[field])));
      return button;
    };
    const gain = make("input", "gain");
    Object.assign(gain, { type: "range", min: "0", max: "1", step: "0.01", value: "1" });
    gain.ariaLabel = gain.title = `Gain of ${name}`;
    gain.addEventListener("input", () => { stem.gain = Number(gain.value); audiocli.mix(); });
    caption.append(toggle("mute", "muted", "Mute"), toggle("solo", "solo", "Solo"), gain);
  }

  function drawTracks(player) {
    data.tracks.forEach(({ name, picture }, index) => {
      const sound = player.tracks.find((track) => track.place === index);
      if (!picture && (index === 0 || !sound)) return;
      const title = index === 0 ? "Spectrogram" : name;
      const { row, caption, body } = lane(title, index === 0 ? "mixture" : "stem", "picture");
      row.style.setProperty("--colour", `var(--s${index % 5})`);
      if (index > 0) {
        caption.prepend(make("span", "dot"));
        if (sound) stemControls(caption, sound, name, player);
        controls.push(() => row.classList.toggle("silent", sound && !player.isAudible(sound)));
      }
      if (picture) spectrogram(body, `Spectrogram of the ${name}`, picture);
      else body.remove();
    });
    if (data.mask) {
      const { body } = lane(`Share of the ${data.mask.name} in each point, 0 to 1`, "stem", "picture share");
      spectrogram(body, `Share of the ${data.mask.name}`, data.mask.picture);
    }
  }

  function drawRhythm() {
    if (data.onsets.length) {
      const { caption, body } = lane("Onsets", "", "strip rug");
      caption.append(make("span", "value", String(data.onsets.length)));
      paths(body, 1, ["", ticks(data.onsets, 1)]);
    }
    if (!data.beats.length) return;
    const { caption, body } = lane("Beats and bars", "", "strip beats");
    const down = audiocli.bars.map(([start]) => start);
    caption.append(make("span", "value", `${data.beats.length} beats, ${down.length} bars`));
    const others = data.beats.filter(([, position]) => position !== 1).map(([time]) => time);
    paths(body, 1, ["beat", ticks(others, 0.5)], ["down", ticks(down, 1)]);
    const numbers = down.map((time, index) => {
      const number = make("i", "", String(index + 1));
      number.style.left = `${(100 * time) / seconds}%`;
      body.append(number);
      return number;
    });
    audiocli.onZoom.push((width) => {  // as many numbers as there is room for
      const room = (width / Math.max(down.length, 1)) || 1;
      const every = [1, 2, 4, 8, 16, 32, 64].find((step) => step * room > 26) || 128;
      numbers.forEach((number, index) => { number.hidden = index % every !== 0; });
    });
  }

  function drawChords() {
    if (!data.chords.length) return;
    const { row } = lane("Key and chords", "harmony", "keys-lane");
    const keys = row.querySelector(".body"), body = make("div", "body chords");
    row.append(body);
    audiocli.chordElements = data.chords.map(([start, end, root, , , degree]) => {
      const block = place(make("div", root < 0 ? "chord none" : "chord"), start, end);
      block.style.setProperty("--h", ((root * 7) % 12) * 30);  // neighbours are a fifth apart
      block.append(document.createTextNode(""), make("small", "", degree));
      body.append(block);
      return block;
    });
    const labels = data.keys.map(([start, end]) => {
      const label = place(make("div", "key"), start, end);
      keys.append(label);
      return label;
    });
    audiocli.onNames.push(() => {
      data.chords.forEach((chord, index) => {
        const block = audiocli.chordElements[index], name = audiocli.nameOf(chord);
        block.firstChild.textContent = name;
        block.title = [name, chord[5], audiocli.clock(chord[0])].filter(Boolean).join(" · ");
      });
      data.keys.forEach((key, index) => { labels[index].textContent = audiocli.keyName(key); });
    });
  }

  function drawNotes() {
    if (!data.notes.length) return;
    const { caption, body } = lane("Melody", "", "strip roll");
    caption.append(make("span", "value", `${data.notes.length} notes`));
    const pitches = data.notes.map(([, , pitch]) => pitch);
    const low = Math.floor(Math.min(...pitches)) - 1, high = Math.ceil(Math.max(...pitches)) + 2;
    const height = (pitch) => (100 * (pitch - low)) / (high - low);
    const scale = make("span", "scale");
    for (let c = 12 * Math.ceil(low / 12); c < high; c += 12) {
      const line = make("div", "c"), label = make("i", "", `C${c / 12 - 1}`);
      line.style.bottom = `${height(c)}%`;
      label.style.top = `${(110 * (100 - height(c))) / 100}px`;
      body.append(line);
      scale.append(label);
    }
    body.prepend(scale);
    const notes = data.notes.map(([start, end, pitch]) => {
      const note = place(make("div", "pitch"), start, end);
      note.style.bottom = `${height(Math.round(pitch))}%`;
      note.style.height = `${Math.max(100 / (high - low), 9)}%`;
      body.append(note);
      return note;
    });
    let width = 0;
    const name = () => data.notes.forEach(([start, end, pitch], index) => {
      const called = audiocli.pitchName(pitch, start);
      notes[index].textContent = (width * (end - start)) / seconds > 22 ? called : "";
      notes[index].title = `${called} · ${audiocli.clock(start)}`;
    });
    audiocli.onNames.push(name);
    audiocli.onZoom.push((now) => { width = now; name(); });
  }

  function drawEvents() {
    if (!data.events.length) return;
    const rows = new Map();
    for (const event of data.events) rows.set(event[2], [...(rows.get(event[2]) || []), event]);
    const total = ([, events]) => events.reduce((sum, [start, end]) => sum + end - start, 0);
    const sorted = [...rows].sort((a, b) => total(b) - total(a));
    const { caption, body } = lane("Events", "", "strip events");
    if (sorted.length > 12) caption.append(make("span", "value", `the 12 longest of ${sorted.length}`));
    for (const [label, events] of sorted.slice(0, 12)) {
      const row = make("div", "event-row");
      row.append(make("span", "", label));
      for (const [start, end, , probability] of events) {
        const bar = place(make("div", "event"), start, end);
        const sure = probability === null ? "" : `, ${Math.round(100 * probability)} %`;
        bar.title = `${label}: ${audiocli.clock(start)} to ${audiocli.clock(end)}${sure}`;
        row.append(bar);
      }
      body.append(row);
    }
  }

  function drawLoudness() {
    const { values, step } = data.loudness;
    const measured = values.filter((value) => value !== null);
    if (measured.length < 2) return;
    const top = 0, bottom = Math.min(-40, Math.floor(Math.min(...measured) / 10) * 10);
    const { caption, body } = lane("Loudness", "", "strip loud");
    caption.append(make("span", "value", "short-term, LUFS"));
    let shape = "", pen = "M";
    values.forEach((value, index) => {
      if (value === null) { pen = "M"; return; }
      shape += `${pen}${(index * step + 1.5).toFixed(2)} ${(top - value).toFixed(1)}`;
      pen = "L";
    });
    const scale = make("span", "scale");
    let grid = "";
    for (let level = -10; level > bottom; level -= 20) {
      grid += `M0 ${-level}H${seconds}`;
      const label = make("i", "", `−${-level}`);
      label.style.top = `${(56 * -level) / (top - bottom)}px`;
      scale.append(label);
    }
    body.append(scale);
    paths(body, top - bottom, ["grid", grid], ["", shape]);
  }

  audiocli.make = make;
  audiocli.place = place;
  audiocli.lane = lane;
  audiocli.controls = controls;
  audiocli.onZoom = [];
  audiocli.onNames = [];
  audiocli.drawLanes = (player) => {
    drawTracks(player);
    drawRhythm();
    drawChords();
    drawNotes();
    drawEvents();
    drawLoudness();
  };
})();
