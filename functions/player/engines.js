// The two engines: both open an address, retry by themselves and say how far behind live they are.
// A recording is opened with live: false, and goes on where it was when it had to be opened again.

import { retryDelay } from "./objects.js";

const RECOVERIES_BEFORE_REBUILD = 2; // a decoder that fails again this soon needs a new one
const RECOVERY_MEMORY_MS = 10000;
const RETRIES_BEFORE_REBUILD = 3;
const NATIVE_LIVE_OFFSET_SECONDS = 6; // three segments of the default duration, as hls.js keeps
const LONGEST_LATENCY_SECONDS = 86400; // beyond a day it is a clock that is wrong

const CODECS_ERROR = "manifestIncompatibleCodecsError"; // hls.js's name for what trying again will not mend
const HLS_MIME = "application/vnd.apple.mpegurl";

function bitrateWords(bitsPerSecond) {
  if (bitsPerSecond >= 1e6) return `${(bitsPerSecond / 1e6).toFixed(1)} Mb/s`;
  return `${Math.round(bitsPerSecond / 1e3)} kb/s`;
}

// A rung is called by its short side, as its folder is; two of one size differ by their bitrate.
const rungName = ({ width, height }) => (width && height ? `${Math.min(width, height)}p` : "Audio");
const rungKey = ({ width, height, bitrate }) => `${width}x${height}@${bitrate}`;

function failureWords(data) {
  const status = data.response?.code ? `, HTTP ${data.response.code}` : "";
  const facts = `(${data.details}${status})`;
  if (data.details === CODECS_ERROR) return `This browser cannot play the stream's codecs ${facts}.`;
  if (data.type === "networkError") return `The stream cannot be loaded right now ${facts}.`;
  if (data.type === "mediaError") return `The picture could not be decoded ${facts}.`;
  return `The player failed ${facts}.`;
}

function loadScript(address, integrity) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = address;
    script.integrity = integrity;
    script.crossOrigin = "anonymous";
    script.onload = resolve;
    script.onerror = () => reject(new Error(address));
    document.head.append(script);
  });
}

async function loadHls() {
  // From beside the page when it was uploaded there, else from the CDN; the hash is the same for both.
  const { version, integrity } = await (await fetch("hls.json")).json();
  for (const address of ["hls.min.js", `https://cdn.jsdelivr.net/npm/hls.js@${version}/dist/hls.min.js`]) {
    try {
      await loadScript(address, integrity);
      if (window.Hls) return window.Hls;
    } catch {
      // The next address is the answer to this.
    }
  }
  throw new Error("hls.js could not be loaded, neither from beside this page nor from its CDN");
}

class HlsEngine {
  hls = null;
  #retries = 0;
  #timer = 0;
  #recoveries = [];
  #level = -1;
  #wanted = null; // the rung chosen by hand, kept from one broadcast to the next

  constructor(Hls, video, config, events, listener) {
    Object.assign(this, { Hls, video, config, events, listener });
  }

  open(address, { live, at = 0 }) {
    this.close();
    Object.assign(this, { address, live, at });
    this.#build();
  }

  close() {
    clearTimeout(this.#timer);
    this.#retries = 0;
    this.#destroy();
  }

  #destroy() {
    this.hls?.destroy();
    this.hls = null;
  }

  #build() {
    this.#destroy();
    const { Events } = this.Hls;
    const hls = (this.hls = new this.Hls(this.at ? { ...this.config, startPosition: this.at } : this.config));
    let first = true;
    this.#level = -1;
    hls.on(Events.MANIFEST_PARSED, () => this.#choose());
    hls.on(Events.LEVEL_LOADED, (_, { details }) => {
      // ENDLIST at first sight of a broadcast that is on air is the broadcast before: its successor is on its way.
      if (first && this.live && !details.live && this.listener.expectsLive()) {
        hls.stopLoad();
        this.#retry("The first pictures are on their way.", false);
      }
      first = false;
    });
    hls.on(Events.LEVEL_SWITCHED, (_, { level }) => {
      if (this.#level !== -1 && this.#level !== level) this.events.levelSwitches += 1;
      this.#level = level;
    });
    hls.on(Events.FRAG_BUFFERED, () => {
      this.#retries = 0;
      this.listener.mended();
    });
    hls.on(Events.ERROR, (_, data) => data.fatal && this.#failed(data));
    hls.loadSource(this.address);
    hls.attachMedia(this.video);
  }

  #failed(data) {
    const { ErrorTypes } = this.Hls;
    this.events.fatalErrors += 1;
    const words = failureWords(data);
    if (data.details === CODECS_ERROR) {
      this.listener.failed(words);
      return this.live || this.listener.gaveUp();
    }
    if (data.type === ErrorTypes.MEDIA_ERROR && this.#mayRecover()) return this.hls.recoverMediaError();
    const resumable = data.type === ErrorTypes.NETWORK_ERROR && this.hls.levels.length > 0;
    this.#retry(words, resumable && this.#retries < RETRIES_BEFORE_REBUILD);
  }

  #mayRecover() {
    const now = performance.now();
    this.#recoveries = this.#recoveries.filter((then) => now - then < RECOVERY_MEMORY_MS);
    return this.#recoveries.push(now) <= RECOVERIES_BEFORE_REBUILD;
  }

  #retry(words, resume) {
    clearTimeout(this.#timer);
    this.#retries += 1;
    this.listener.failed(`${words} Trying again.`);
    this.#timer = setTimeout(() => {
      if (!this.listener.expectsMore()) return this.listener.gaveUp();
      this.events.reloads += 1;
      if (resume) return this.hls.startLoad();
      if (this.#retries > RETRIES_BEFORE_REBUILD) this.#wanted = null; // the rung chosen may be what is broken
      if (!this.live) this.at = this.video.currentTime || this.at;
      this.#build();
      this.listener.restarted(); // taking the media away has paused the picture
    }, retryDelay(this.#retries));
  }

  get rungs() {
    return (this.hls?.levels ?? []).map((level, index) => ({
      value: String(index),
      label: `${rungName(level)} · ${bitrateWords(level.bitrate)}`,
      order: level.bitrate,
    }));
  }

  get chosen() {
    const index = (this.hls?.levels ?? []).findIndex((level) => rungKey(level) === this.#wanted);
    return index < 0 ? "auto" : String(index);
  }

  get current() {
    const level = this.hls?.levels?.[this.hls.currentLevel];
    return level ? rungName(level) : null;
  }

  choose(value) {
    const level = this.hls?.levels[Number(value)];
    this.#wanted = level ? rungKey(level) : null;
    this.#choose();
  }

  #choose() {
    const level = this.chosen === "auto" ? -1 : Number(this.chosen);
    const changes = level !== -1 || !this.hls?.autoLevelEnabled;
    // What is buffered plays out, so that a change of mind never interrupts the picture.
    if (this.hls?.levels.length && changes) this.hls.loadLevel = level;
  }

  latency() {
    if (!this.hls || !this.video.currentTime) return null;
    const date = this.hls.playingDate;
    const seconds = date ? (Date.now() - date.getTime()) / 1000 : -1;
    // Without dates, or with a clock that is wrong: the distance to the newest segment.
    return seconds >= 0 && seconds < LONGEST_LATENCY_SECONDS ? seconds : this.hls.latency;
  }

  isAtLive() {
    const details = this.hls?.latestLevelDetails;
    return Boolean(details) && this.hls.latency <= (this.hls.targetLatency ?? 0) + details.targetduration;
  }

  goLive() {
    const position = this.hls?.liveSyncPosition;
    if (Number.isFinite(position)) this.video.currentTime = position;
  }
}

export class NativeEngine {
  hls = null;
  rungs = [];
  chosen = "auto";
  #retries = 0;
  #timer = 0;

  constructor(video, events, listener) {
    Object.assign(this, { video, events, listener });
    video.addEventListener("error", () => this.address && this.#failed());
    video.addEventListener("playing", () => {
      if (!this.address) return; // another engine's picture
      this.#retries = 0;
      listener.mended();
    });
  }

  open(address, { live, at = 0 }) {
    this.close();
    Object.assign(this, { address, live, at });
    this.#load();
  }

  close() {
    clearTimeout(this.#timer);
    this.#retries = 0;
    this.address = null;
    this.video.removeAttribute("src");
    this.video.load();
  }

  #load() {
    this.video.src = this.address;
    if (this.at) this.video.currentTime = this.at; // before anything is loaded it says where to start
  }

  #failed() {
    this.events.fatalErrors += 1;
    this.#retries += 1;
    if (!this.live) this.at = this.video.currentTime || this.at;
    this.listener.failed(`The stream cannot be played right now (error ${this.video.error?.code}). Trying again.`);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (!this.listener.expectsMore()) return this.listener.gaveUp();
      this.events.reloads += 1;
      this.#load();
      this.listener.restarted();
    }, retryDelay(this.#retries));
  }

  get current() {
    return rungName({ width: this.video.videoWidth, height: this.video.videoHeight });
  }

  choose() {}

  latency() {
    const start = this.video.getStartDate?.().getTime();
    if (start) return (Date.now() - start) / 1000 - this.video.currentTime;
    const edge = this.#edge();
    return edge === null ? null : edge - this.video.currentTime;
  }

  isAtLive() {
    const edge = this.#edge();
    return edge !== null && edge - this.video.currentTime < 2 * NATIVE_LIVE_OFFSET_SECONDS;
  }

  goLive() {
    const edge = this.#edge();
    if (edge !== null) this.video.currentTime = Math.max(0, edge - NATIVE_LIVE_OFFSET_SECONDS);
  }

  #edge() {
    const { seekable } = this.video;
    const end = seekable.length ? seekable.end(seekable.length - 1) : NaN;
    return Number.isFinite(end) ? end : null;
  }
}

// What plays HLS here, or null; *native* is the browser itself, which plays MP4 in any case.
export async function engineFor(query, video, native, events, listener) {
  const playsNatively = video.canPlayType(HLS_MIME) !== "";
  if (query.native && playsNatively) return native;
  let Hls = null;
  try {
    Hls = await loadHls();
  } catch (error) {
    if (!playsNatively) throw error;
  }
  if (Hls?.isSupported()) return new HlsEngine(Hls, video, query.hlsConfig, events, listener);
  return playsNatively ? native : null;
}
