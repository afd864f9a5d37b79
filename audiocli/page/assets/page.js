"use strict";
(() => {
  const { data } = audiocli, $ = (id) => document.getElementById(id);
  const root = document.documentElement, scroller = $("scroller"), lanes = $("lanes");
  root.classList.add("js");
  const player = audiocli.player = new audiocli.Player(data.seconds);
  const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const MOST = 30000;  // pixels

  // --- waveform, ruler, and the part that is looped -------------------------------------------
  let wave = null, regions = null;
  function drawWave() {
    if (!data.outline) return;
    const { body } = audiocli.lane("Waveform", "", "wave");
    const [tops, bottoms] = data.outline;
    regions = WaveSurfer.Regions.create();
    wave = audiocli.wave = WaveSurfer.create({
      container: body,
      height: 84,
      media: player.leader || undefined,
      peaks: [tops.map((value) => value / 127), bottoms.map((value) => value / 127)],
      duration: data.seconds,
      interact: false,
      cursorWidth: 0,
      hideScrollbar: true,
      autoScroll: false,
      ...tones(),
      plugins: [regions, WaveSurfer.Timeline.create({
        height: 20,
        timeOffset: data.start,
        secondaryLabelOpacity: 0.75,
        style: { fontSize: "11px", color: "inherit" },
        formatTimeCallback: (time) => {
          const whole = Math.floor(time + 1e-6), rest = time - whole;
          return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}${rest > 0.04 ? rest.toFixed(1).slice(1) : ""}`;
        },
      })],
    });
    regions.enableDragSelection({ color: "transparent" });
    regions.on("region-created", (region) => {
      for (const other of regions.getRegions()) if (other !== region) other.remove();
    });
    regions.on("region-updated", (region) => setLoop([region.start, region.end], "loop-part", false));
  }
  function tones() {
    const shade = document.createElement("i");  // resolves light-dark() to one colour
    document.body.append(shade);
    const read = (name) => { shade.style.color = `var(${name})`; return getComputedStyle(shade).color; };
    const made = { waveColor: read("--wave"), progressColor: read("--waved") };
    shade.remove();
    return made;
  }

  // --- loops ----------------------------------------------------------------------------------
  const looped = audiocli.make("div", "looped");
  looped.hidden = true;
  function setLoop(span, kind, jump = true) {
    player.loop = span;
    for (const id of ["loop-bar", "loop-chord", "loop-part"]) {
      $(id).setAttribute("aria-pressed", String(Boolean(span) && id === kind));
    }
    looped.hidden = !span;
    if (span) {
      audiocli.place(looped, ...span);
      if (jump && (player.position < span[0] || player.position >= span[1])) player.go(span[0]);
    }
    if (kind !== "loop-part" && regions) regions.clearRegions();
    tick();
  }
  const current = (spans) => spans[Math.max(audiocli.indexAt(spans, player.position), 0)];
  const loopOf = (id, spans) => () => {
    if ($(id).getAttribute("aria-pressed") === "true" || !spans.length) return setLoop(null, "");
    setLoop(current(spans).slice(0, 2), id);
  };
  const loopBar = loopOf("loop-bar", audiocli.bars), loopChord = loopOf("loop-chord", data.chords);
  function loopPart() {
    if ($("loop-part").getAttribute("aria-pressed") === "true") return setLoop(null, "");
    // What is seen of it; its edges can be dragged in the waveform.
    const [first, last] = seen(), width = last - first;
    const span = [first + 0.25 * width, first + 0.75 * width];
    if (regions) regions.addRegion({ start: span[0], end: span[1], color: "transparent" });
    setLoop(span, "loop-part");
  }

  // --- zoom -----------------------------------------------------------------------------------
  let zoom = 1;
  const seen = () => [scroller.scrollLeft, scroller.scrollLeft + scroller.clientWidth]
    .map((x) => (data.seconds * x) / Math.max(lanes.clientWidth, 1));
  function setZoom(to) {
    const most = Math.max(1, Math.min(MOST / scroller.clientWidth, (data.seconds * 400) / scroller.clientWidth));
    const [first, last] = seen();
    const middle = player.position >= first && player.position <= last ? player.position : (first + last) / 2;
    const share = ((middle - first) / Math.max(last - first, 1e-6)) || 0;
    zoom = Math.min(Math.max(to, 1), most);
    lanes.style.width = `${100 * zoom}%`;
    lanes.style.setProperty("--view", `${scroller.clientWidth}px`);
    scroller.scrollLeft = (lanes.clientWidth * middle) / data.seconds - share * scroller.clientWidth;
    $("out").disabled = zoom <= 1;
    $("in").disabled = zoom >= most;
    for (const redraw of audiocli.onZoom) redraw(lanes.clientWidth);
    tick();
  }

  // --- what follows the position ----------------------------------------------------------------
  const cursor = audiocli.make("div", "cursor");
  let followSheet = () => {}, frame = 0, shownChord = -1;
  function showNow(time) {
    const index = audiocli.indexAt(data.chords, time), chord = data.chords[index];
    if (index !== shownChord) {
      audiocli.chordElements?.[shownChord]?.classList.remove("current");
      audiocli.chordElements?.[index]?.classList.add("current");
      shownChord = index;
    }
    const bar = audiocli.indexAt(audiocli.bars, time);
    const words = [];
    if (chord) words.push(audiocli.make("b", "", audiocli.nameOf(chord)));
    if (chord && chord[5] && chord[2] >= 0) words.push(audiocli.make("span", "", ` ${chord[5]}`));
    if (bar >= 0) words.push(audiocli.make("span", "", `  bar ${bar + 1}`));
    $("now").replaceChildren(...words);
  }
  function tick() {
    const time = player.position, x = (lanes.clientWidth * time) / Math.max(data.seconds, 1e-6);
    cursor.style.transform = `translateX(${x}px)`;
    if (document.activeElement !== $("seek") || player.playing) $("seek").value = time;
    $("seek").setAttribute("aria-valuetext", audiocli.clock(time));
    $("clock").textContent = audiocli.clock(time);
    showNow(time);
    followSheet(time);
    const beyond = x - scroller.scrollLeft;
    if (player.playing && zoom > 1 && (beyond < 0 || beyond > 0.92 * scroller.clientWidth)) {
      scroller.scrollLeft = x - 0.15 * scroller.clientWidth;
    }
  }
  function run() {
    player.turn();
    tick();
    cancelAnimationFrame(frame);
    if (player.playing) frame = requestAnimationFrame(run);
  }
  function showPlaying() {
    $("player").classList.toggle("playing", player.playing);
    $("play").setAttribute("aria-label", player.playing ? "Pause" : "Play");
    player.apply();
    run();
  }

  // --- what can be set ------------------------------------------------------------------------
  audiocli.mix = () => {
    player.apply();
    for (const show of audiocli.controls) show();
  };
  function go(time) {
    player.go(time);
    const x = (lanes.clientWidth * player.position) / Math.max(data.seconds, 1e-6) - scroller.scrollLeft;
    if (x < 0 || x > scroller.clientWidth) scroller.scrollLeft += x - 0.25 * scroller.clientWidth;
    tick();
  }
  function toggle() {
    player.toggle().catch((error) => {
      $("status").textContent = `The sound cannot be played here (${error.message}).`;
      root.classList.remove("js");  // leaves it to the browser's own players
    });
  }
  function setShift(to) {
    audiocli.shift = ((to + 17) % 12) - 5;  // from -5 to 6
    $("shift").textContent = audiocli.shift > 0 ? `+${audiocli.shift}` : String(audiocli.shift).replace("-", "−");
    for (const name of audiocli.onNames) name();
    tick();
  }
  function step(by) {
    const speed = $("speed"), to = speed.selectedIndex + by;
    if (to < 0 || to >= speed.options.length) return;
    speed.selectedIndex = to;
    setSpeed();
  }
  function setSpeed() { player.rate = Number($("speed").value); player.apply(); }
  function solo(number) {
    if (number && !player.stems[number - 1]) return;
    const only = number && !player.stems[number - 1].solo;
    player.stems.forEach((stem, index) => { stem.solo = Boolean(only) && index === number - 1; });
    if (!number) player.stems.forEach((stem) => { stem.muted = false; });
    audiocli.mix();
  }
  function moveBar(by) {
    const spans = audiocli.bars.length ? audiocli.bars : data.chords;
    if (!spans.length) return go(player.position + 2 * by);
    const at = audiocli.indexAt(spans, player.position);
    const back = by < 0 && at >= 0 && player.position - spans[at][0] > 0.6 ? 0 : by;
    go(spans[Math.min(Math.max(at + back, 0), spans.length - 1)][0]);
  }
  function setTheme() {
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    if (wave) wave.setOptions(tones());
  }

  const KEYS = {
    " ": toggle, ArrowLeft: () => go(player.position - 5), ArrowRight: () => go(player.position + 5),
    "[": () => moveBar(-1), "]": () => moveBar(1), b: loopBar, c: loopChord,
    Escape: () => setLoop(null, ""), s: () => step(-1), f: () => step(1),
    "+": () => setZoom(2 * zoom), "=": () => setZoom(2 * zoom), "-": () => setZoom(zoom / 2),
    t: setTheme,
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { target } = event, key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const typed = target instanceof HTMLSelectElement
      || (target instanceof HTMLInputElement && key.startsWith("Arrow"));
    const pressed = key === " " && (target instanceof HTMLButtonElement || target.tagName === "SUMMARY");
    if (typed || pressed) return;
    if (/^[0-9]$/.test(key) && player.stems.length) solo(Number(key));
    else if (KEYS[key]) KEYS[key]();
    else return;
    event.preventDefault();
  });

  // --- begin ----------------------------------------------------------------------------------
  drawWave();
  audiocli.drawLanes(player);
  lanes.append(looped, cursor);
  followSheet = audiocli.drawSheet(go);
  for (const body of lanes.querySelectorAll(".picture")) {
    body.style.setProperty("--height", `${body.clientHeight}px`);
  }
  lanes.addEventListener("click", (event) => {
    if (event.target.closest(".caption")) return;
    const path = event.composedPath();
    if (path.some((element) => element.part?.contains?.("region"))) return;
    const box = lanes.getBoundingClientRect();
    go((data.seconds * (event.clientX - box.left)) / box.width);
  });
  scroller.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    setZoom(zoom * 2 ** (-event.deltaY / 100));
  }, { passive: false });

  $("seek").max = data.seconds;
  $("end").textContent = audiocli.clock(data.seconds);
  $("play").disabled = $("seek").disabled = $("volume").disabled = $("speed").disabled = !player.leader;
  if (!player.leader) $("seek").disabled = false;
  $("transposing").hidden = !data.chords.length && !data.notes.length;
  $("loop-bar").hidden = !audiocli.bars.length;
  $("loop-chord").hidden = !data.chords.length;
  $("play").addEventListener("click", toggle);
  $("seek").addEventListener("input", () => go(Number($("seek").value)));
  $("loop-bar").addEventListener("click", loopBar);
  $("loop-chord").addEventListener("click", loopChord);
  $("loop-part").addEventListener("click", loopPart);
  $("loop-off").addEventListener("click", () => setLoop(null, ""));
  $("speed").addEventListener("change", setSpeed);
  $("lower").addEventListener("click", () => setShift(audiocli.shift - 1));
  $("higher").addEventListener("click", () => setShift(audiocli.shift + 1));
  $("out").addEventListener("click", () => setZoom(zoom / 2));
  $("in").addEventListener("click", () => setZoom(2 * zoom));
  $("volume").addEventListener("input", () => { player.volume = Number($("volume").value); player.apply(); });
  $("theme").addEventListener("click", setTheme);
  for (const kind of ["play", "pause", "ended", "seeked"]) {
    player.leader?.addEventListener(kind, showPlaying);
  }
  addEventListener("resize", () => setZoom(zoom));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => wave?.setOptions(tones()));
  audiocli.mix();
  setShift(0);
  setZoom(1);
})();
