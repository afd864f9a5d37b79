"use strict";
/* What sounds. The first track is the mixture, and leads: the others follow its time. While nothing
   is muted, alone or turned down, the mixture sounds by itself; else the stems do, in its place. */
var audiocli = { data: JSON.parse(document.getElementById("data").textContent) };

audiocli.Player = class {
  constructor(seconds) {
    this.seconds = seconds;
    this.rate = 1;
    this.volume = 1;
    this.loop = null;  // [start, end]
    this.still = 0;  // the position where there is no sound
    this.tracks = [];
    for (const audio of document.querySelectorAll("audio[data-track]")) {
      const bytes = Uint8Array.from(atob(audio.src.split(",")[1]), (c) => c.charCodeAt(0));
      // Browsers seek in a blob; not all of them do in a data address.
      audio.src = URL.createObjectURL(new Blob([bytes], { type: "audio/mpeg" }));
      audio.preload = "auto";
      audio.controls = false;
      audio.preservesPitch = audio.webkitPreservesPitch = true;
      this.tracks.push({ audio, place: Number(audio.dataset.track), gain: 1, muted: false, solo: false });
    }
    this.leader = this.tracks.length ? this.tracks[0].audio : null;
    this.stems = this.tracks.slice(1);
    if (this.leader) setInterval(() => this.keep(), 120);
  }

  get position() {
    return this.leader ? Math.min(this.leader.currentTime, this.seconds) : this.still;
  }

  get playing() { return Boolean(this.leader) && !this.leader.paused; }

  isAudible(track) {
    const alone = this.stems.some((stem) => stem.solo);
    return (alone ? track.solo : !track.muted) && track.gain > 0;
  }

  get isMixed() {  // whether the stems sound in the mixture's place
    return this.stems.some((stem) => stem.muted || stem.solo || stem.gain !== 1);
  }

  apply() {
    if (!this.leader) return;
    const mixed = this.isMixed;
    this.leader.muted = mixed;
    this.leader.volume = this.volume;
    this.leader.playbackRate = this.rate;
    for (const stem of this.stems) {
      const sounds = mixed && this.isAudible(stem);
      stem.audio.volume = Math.min(stem.gain ** 2 * this.volume, 1);  // even steps of loudness
      if (sounds && this.playing && stem.audio.paused) {
        stem.audio.currentTime = this.leader.currentTime;
        stem.audio.playbackRate = this.rate;
        stem.audio.play().catch(() => {});
      } else if (stem.audio.paused === false && !(sounds && this.playing)) stem.audio.pause();
    }
  }

  /** Bring stems that have drifted from the mixture back in step. */
  keep() {
    if (!this.playing) return;
    for (const { audio } of this.stems) {
      if (audio.paused || audio.seeking) continue;
      const late = this.leader.currentTime - audio.currentTime;
      if (Math.abs(late) > 0.12) audio.currentTime = this.leader.currentTime;
      const nudge = Math.abs(late) < 0.004 ? 0 : Math.max(-0.06, Math.min(0.06, late));
      audio.playbackRate = this.rate * (1 + nudge);
    }
  }

  async toggle() {
    if (!this.leader) return;
    if (this.playing) this.leader.pause();
    else {
      if (this.leader.currentTime >= this.seconds - 0.02) this.go(this.loop ? this.loop[0] : 0);
      await this.leader.play();
    }
    this.apply();
  }

  go(time) {
    const to = Math.min(Math.max(time, 0), Math.max(this.seconds - 0.01, 0));
    this.still = to;
    if (!this.leader) return;
    this.leader.currentTime = to;
    for (const { audio } of this.stems) if (!audio.paused) audio.currentTime = to;
  }

  /** Called with each frame while it plays. */
  turn() {
    if (!this.playing) return;
    if (this.loop && (this.position >= this.loop[1] - 0.01 || this.position < this.loop[0] - 0.2)) {
      this.go(this.loop[0]);
    }
  }
};
