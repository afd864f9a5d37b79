"use strict";
/* Names of chords, keys and notes, transposed as the reader likes; bars; and the chord sheet. */
(() => {
  const { data } = audiocli;
  const SHARPS = ["C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B"];
  const FLATS = ["C", "D♭", "D", "E♭", "E", "F", "G♭", "G", "A♭", "A", "B♭", "B"];
  const USUAL = ["C", "D♭", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"];
  const WITH_FLATS = { major: [5, 10, 3, 8, 1], minor: [2, 7, 0, 5, 10] };
  const modulo = (value) => ((value % 12) + 12) % 12;

  audiocli.shift = 0;
  audiocli.clock = (time, digits = 1) => {
    const tenths = Math.floor((data.start + time) * 10 + 1e-6), seconds = (tenths % 600) / 10;
    return `${Math.floor(tenths / 600)}:${seconds.toFixed(digits).padStart(digits ? 4 : 2, "0")}`;
  };
  const namesOf = (key) => key
    ? (WITH_FLATS[key[3]].includes(modulo(key[2] + audiocli.shift)) ? FLATS : SHARPS) : USUAL;
  const keyAt = (time) => data.keys.find(([start, end]) => start <= time && time < end);

  audiocli.keyName = (key) => `${namesOf(key)[modulo(key[2] + audiocli.shift)]} ${key[3]}`;
  audiocli.nameOf = ([start, end, root, bass, suffix]) => {
    if (root < 0) return "N.C.";
    const names = namesOf(keyAt((start + end) / 2));
    const over = bass === root ? "" : `/${names[modulo(bass + audiocli.shift)]}`;
    return names[modulo(root + audiocli.shift)] + suffix + over;
  };
  audiocli.pitchName = (pitch, time) => {
    const moved = Math.round(pitch) + audiocli.shift;
    return namesOf(keyAt(time))[modulo(moved)] + (Math.floor(moved / 12) - 1);
  };

  /** Bars as [start, end]: from each first beat to the next, the last as long as the one before. */
  const first = data.beats.filter(([, position]) => position === 1).map(([time]) => time);
  audiocli.bars = first.map((start, index) => {
    const length = index ? start - first[index - 1] : data.seconds - start;
    return [start, index + 1 < first.length ? first[index + 1] : Math.min(start + length, data.seconds)];
  });

  audiocli.indexAt = (spans, time) => {  // the last that has begun; -1 before all
    let low = 0, high = spans.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (spans[middle][0] <= time + 1e-3) low = middle + 1; else high = middle;
    }
    return low - 1;
  };

  /** What is played in each cell of the sheet: bars, or the chords themselves without bars. */
  function cells() {
    if (!audiocli.bars.length) return data.chords.map((chord) => [chord[0], chord[1], [chord], false]);
    const all = [...audiocli.bars], sounding = data.chords.filter(([, , root]) => root >= 0);
    if (sounding.length && sounding[0][0] < all[0][0] - 0.3) all.unshift([0, all[0][0]]);
    let before = null;
    return all.map(([start, end]) => {
      const least = 0.15 * (end - start);
      const inside = data.chords.filter((chord) =>
        Math.min(end, chord[1]) - Math.max(start, chord[0]) >= Math.min(least, chord[1] - chord[0]) - 1e-6
        && chord[0] < end && chord[1] > start);
      const same = inside.length === 1 && inside[0] === before;
      before = inside.length ? inside[inside.length - 1] : null;
      return [start, end, inside, same];
    });
  }

  audiocli.drawSheet = (go) => {
    if (!data.chords.some(([, , root]) => root >= 0)) return () => {};
    document.getElementById("sheet-card").hidden = false;
    const sheet = document.getElementById("sheet"), made = cells();
    const pickup = audiocli.bars.length && made.length > audiocli.bars.length;
    const buttons = made.map(([start], index) => {
      const button = audiocli.make("button", "bar");
      button.type = "button";
      button.tabIndex = index ? -1 : 0;
      button.addEventListener("click", () => go(start));
      sheet.append(button);
      return button;
    });
    audiocli.onNames.push(() => made.forEach(([start, , chords, same], index) => {
      const label = audiocli.bars.length ? String(index + (pickup ? 0 : 1)) : audiocli.clock(start);
      const words = same ? [audiocli.make("span", "same", "·")] : chords.map((chord) => {
        const word = audiocli.make("b", "", audiocli.nameOf(chord));
        if (chord[5] && chord[2] >= 0) word.append(audiocli.make("small", "", chord[5]));
        return word;
      });
      buttons[index].replaceChildren(audiocli.make("i", "", label), ...words);
      const names = chords.map(audiocli.nameOf).join(", ") || "no chord";
      buttons[index].ariaLabel = `${audiocli.bars.length ? "Bar " : ""}${label}: ${names}`;
    }));
    document.getElementById("sheet-note").textContent = audiocli.bars.length
      ? "A cell is a bar; a point repeats the chord before. A click moves there."
      : "No bars were found: a cell is a chord.";
    sheet.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -4, ArrowDown: 4 }[event.key];
      const at = buttons.indexOf(document.activeElement);
      if (!step || at < 0 || !buttons[at + step]) return;
      buttons[at].tabIndex = -1;
      buttons[at + step].tabIndex = 0;
      buttons[at + step].focus();
      event.preventDefault();
      event.stopPropagation();
    });
    let current = -1;
    return (time) => {
      const index = audiocli.indexAt(made, time);
      if (index === current) return;
      buttons[current]?.classList.remove("current");
      buttons[current]?.removeAttribute("aria-current");
      current = index;
      const button = buttons[index];
      if (!button) return;
      button.classList.add("current");
      button.setAttribute("aria-current", "true");
      const above = button.offsetTop - sheet.scrollTop;  // the sheet scrolls, not the page
      if (above < 0 || above > sheet.clientHeight - 2 * button.offsetHeight) {
        sheet.scrollTop = button.offsetTop - button.offsetHeight;
      }
    };
  };
})();
