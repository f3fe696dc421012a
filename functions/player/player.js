// The viewer page: it reads the bucket and nothing else. state.json says whether there is something to play,
// hls.js (or the browser itself) plays it. Words are set as text, never as HTML.

// As in bucketcast/stream/identifiers.py: a stream is a folder of the bucket, so nothing else may stand there.
const STREAM_ID = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const RESERVED_STREAM_IDS = ["player"];

// What the address may ask of hls.js, and within which bounds its own documentation calls it sensible.
const HLS_SETTINGS = {
  liveSyncDurationCount: { least: 1, most: 10, whole: true },
  maxLiveSyncPlaybackRate: { least: 1, most: 2, whole: false },
  maxBufferLength: { least: 2, most: 600, whole: true },
};
const ENGINES = ["hls.js", "native"];

const POLL_MS = 2000; // state.json is written at most once a second and may be cached for one
const ANSWER_MS = 8000; // a small file that takes longer is not coming
const FIRST_RETRY_MS = 1000;
const LAST_RETRY_MS = 8000; // what a live viewer will sit through, and no burden on a bucket
const FAILURES_BEFORE_UNKNOWN = 3; // one lost answer is no reason to take back what is known
const RECOVERIES_BEFORE_REBUILD = 2; // a decoder that fails again this soon needs a new one
const RECOVERY_MEMORY_MS = 10000;
const RETRIES_BEFORE_REBUILD = 3;
const RENDER_MS = 500;
const NATIVE_LIVE_OFFSET_SECONDS = 6; // three segments of the default duration, as hls.js keeps
const LONGEST_LATENCY_SECONDS = 86400; // beyond a day it is a clock that is wrong

const CODECS_ERROR = "manifestIncompatibleCodecsError"; // hls.js's name for what trying again will not mend
const HLS_MIME = "application/vnd.apple.mpegurl";

const STATE_WORDS = {
  connecting: "connecting",
  absent: "not on air yet",
  idle: "not on air yet",
  live: "live",
  interrupted: "interrupted: the broadcaster may come back",
  ended: "ended",
  unknown: "state unknown: trying again",
};

// What is decided from values alone.

function parseQuery(search) {
  const query = new URLSearchParams(search);
  const complaints = [];
  const hlsConfig = {};
  for (const [name, { least, most, whole }] of Object.entries(HLS_SETTINGS)) {
    const text = query.get(name);
    if (text === null) continue;
    const kind = whole ? "whole number" : "number";
    const value = text.trim() === "" ? NaN : Number(text);
    if (value >= least && value <= most && (!whole || Number.isInteger(value))) hlsConfig[name] = value;
    else complaints.push(`${name} is left at its default: it takes a ${kind} from ${least} to ${most}.`);
  }
  const engine = query.get("engine");
  if (engine !== null && !ENGINES.includes(engine)) complaints.push(`engine is either ${ENGINES.join(" or ")}.`);
  const stream = query.get("stream") ?? "";
  const valid = STREAM_ID.test(stream) && !RESERVED_STREAM_IDS.includes(stream);
  return { stream: valid ? stream : null, asked: stream, native: engine === "native", hlsConfig, complaints };
}

function parseState(record, stream) {
  const known = ["idle", "live", "interrupted", "ended"];
  if (record?.version !== 1 || record.stream !== stream || !known.includes(record.state)) return null;
  if (!Number.isSafeInteger(record.broadcast) || record.broadcast < 0) return null;
  return { state: record.state, broadcast: record.broadcast, since: new Date(record.since) };
}

const isOnAir = (state) => state === "live" || state === "interrupted";

// Jitter keeps viewers whom one fault threw out from coming back as one.
const retryDelay = (failures) =>
  Math.min(FIRST_RETRY_MS * 2 ** Math.max(0, failures - 1), LAST_RETRY_MS) * (0.75 + Math.random() / 2);

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

// What covers the picture: nothing while there is one to see.
function overlayFor(state, playback, reason) {
  if (playback === "playing" || playback === "paused") return null;
  const say = (title, text = "") => ({ title, text, busy: false });
  const wait = (title, text = "") => ({ title, text, busy: true });
  if (playback === "blocked") return say("Press play to watch", "The browser did not let the picture start by itself.");
  switch (state) {
    case "absent":
    case "idle":
      return say("Not on air yet", "This page starts by itself when the broadcast begins.");
    case "live":
      return wait(playback === "opening" ? "Starting" : "Waiting for the stream");
    case "interrupted":
      return wait("Interrupted", "The broadcaster may come back. This page goes on by itself.");
    case "ended":
      return say("The broadcast has ended", "When the next one begins, it plays here by itself.");
    case "unknown":
      return wait("No answer", `The stream's state cannot be read (${reason}). This page goes on trying.`);
    default:
      return wait("Connecting");
  }
}

// What state.json says.

async function readState(stream) {
  try {
    const signal = AbortSignal.timeout(ANSWER_MS);
    const answer = await fetch(`../${stream}/state.json`, { cache: "no-cache", signal });
    if (answer.status === 404) return { kind: "absent" };
    if (!answer.ok) return { kind: "failed", reason: `HTTP ${answer.status}` };
    const known = parseState(await answer.json(), stream);
    return known ? { kind: "known", ...known } : { kind: "failed", reason: "of a kind this page does not know" };
  } catch (error) {
    const late = error.name === "TimeoutError";
    return { kind: "failed", reason: late ? "no answer in time" : "no connection, or not JSON" };
  }
}

class StateWatch {
  // Polls while the page is shown; *tell* hears every answer and how many failed in a row.
  #timer = 0;
  #reading = false;
  #failures = 0;

  constructor(stream, tell) {
    this.stream = stream;
    this.tell = tell;
    document.addEventListener("visibilitychange", () => this.#next(0));
    this.#next(0);
  }

  #next(delay) {
    clearTimeout(this.#timer);
    if (!document.hidden && !this.#reading) this.#timer = setTimeout(() => this.#read(), delay);
  }

  async #read() {
    this.#reading = true;
    const answer = await readState(this.stream);
    this.#reading = false;
    this.#failures = answer.kind === "failed" ? this.#failures + 1 : 0;
    this.tell(answer, this.#failures);
    this.#next(this.#failures ? Math.max(POLL_MS, retryDelay(this.#failures)) : POLL_MS);
  }
}

// The two engines: both open an address, retry by themselves and say how far behind live they are.

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

  open(address) {
    this.close();
    this.address = address;
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
    const hls = (this.hls = new this.Hls(this.config));
    let first = true;
    this.#level = -1;
    hls.on(Events.MANIFEST_PARSED, () => this.#choose());
    hls.on(Events.LEVEL_LOADED, (_, { details }) => {
      // ENDLIST at first sight of a broadcast that is on air is the broadcast before: its successor is on its way.
      if (first && !details.live && this.listener.expectsLive()) {
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
    if (data.details === CODECS_ERROR) return this.listener.failed(words);
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

class NativeEngine {
  hls = null;
  rungs = [];
  chosen = "auto";
  #retries = 0;
  #timer = 0;

  constructor(video, events, listener) {
    Object.assign(this, { video, events, listener });
    video.addEventListener("error", () => this.address && this.#failed());
    video.addEventListener("playing", () => {
      this.#retries = 0;
      listener.mended();
    });
  }

  open(address) {
    this.close();
    this.address = address;
    this.video.src = address;
  }

  close() {
    clearTimeout(this.#timer);
    this.#retries = 0;
    this.address = null;
    this.video.removeAttribute("src");
    this.video.load();
  }

  #failed() {
    this.events.fatalErrors += 1;
    this.#retries += 1;
    this.listener.failed(`The stream cannot be played right now (error ${this.video.error?.code}). Trying again.`);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (!this.listener.expectsMore()) return this.listener.gaveUp();
      this.events.reloads += 1;
      this.video.src = this.address;
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

async function engineFor(query, video, events, listener) {
  const native = () => new NativeEngine(video, events, listener);
  const playsNatively = video.canPlayType(HLS_MIME) !== "";
  if (query.native && playsNatively) return native();
  let Hls = null;
  try {
    Hls = await loadHls();
  } catch (error) {
    if (!playsNatively) throw error;
  }
  if (Hls?.isSupported()) return new HlsEngine(Hls, video, query.hlsConfig, events, listener);
  return playsNatively ? native() : null;
}

// The page.

const byId = (id) => document.getElementById(id);

// Live regions speak on every change of text, so text that is the same must not be set again.
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

class Page {
  events = { stalls: 0, levelSwitches: 0, fatalErrors: 0, reloads: 0 };
  state = "connecting";
  engine = null;
  #query;
  #broadcast = null; // the one that is on air
  #opened = null; // the one the engine was given
  #since = new Date(NaN);
  #playback = "none"; // none, opening, playing, waiting, paused, blocked, over
  #pausedByHand = false;
  #soundTouched = false;
  #complaint = "";
  #reason = ""; // why state.json could not be read
  #rungsShown = "";

  constructor(query) {
    this.#query = query;
    this.video = byId("video");
    this.video.muted = true; // without sound every browser lets the picture start by itself
  }

  async start() {
    const { stream, asked, complaints } = this.#query;
    this.#complaint = complaints.join(" ");
    if (stream === null) return this.#refuse(asked);
    setText(byId("stream"), stream);
    this.#listen();
    new StateWatch(stream, (answer, failures) => this.#heard(answer, failures));
    setInterval(() => this.#render(), RENDER_MS);
    await this.#startEngine();
  }

  #refuse(asked) {
    this.state = "unknown";
    byId("player").hidden = true;
    document.querySelector(".keys").hidden = true;
    byId("state").hidden = true;
    const rule = "a name has 1 to 63 of a-z, 0-9 and -, and neither starts nor ends with -";
    this.#complaint = asked === ""
      ? "Which stream? Add its name to the address of this page: ?stream=NAME"
      : `“${asked.slice(0, 80)}” is not the name of a stream: ${rule}.`;
    this.#renderNotice();
  }

  async #startEngine() {
    const listener = {
      expectsLive: () => isOnAir(this.state),
      expectsMore: () => isOnAir(this.state) || this.#playback === "playing",
      failed: (words) => this.#complain(words),
      mended: () => this.#complain(""),
      // Whatever is on air next is opened anew, be it the same broadcast.
      gaveUp: () => { this.#opened = null; },
      restarted: () => this.#pausedByHand || this.#play(),
    };
    for (let failures = 1; this.engine === null; failures += 1) {
      try {
        this.engine = await engineFor(this.#query, this.video, this.events, listener);
        if (this.engine === null) {
          return this.#complain("This browser can play HLS neither by itself nor with hls.js.");
        }
      } catch (error) {
        this.#complain(`${error.message}. Trying again.`);
        await new Promise((resolve) => setTimeout(resolve, retryDelay(failures)));
      }
    }
    this.#complain(this.#query.complaints.join(" "));
    this.#follow();
  }

  #heard(answer, failures) {
    this.#reason = answer.reason ?? "";
    if (answer.kind === "known") {
      ({ state: this.state, broadcast: this.#broadcast, since: this.#since } = answer);
    } else if (answer.kind === "absent") {
      this.state = "absent";
    } else if (this.state === "connecting" || failures >= FAILURES_BEFORE_UNKNOWN) {
      this.state = "unknown";
    }
    this.#follow();
    this.#render();
  }

  // Opens what is on air unless it is open already. What has ended is played to its end and not closed.
  #follow() {
    if (!this.engine || !isOnAir(this.state) || this.#opened === this.#broadcast) return;
    this.#opened = this.#broadcast;
    this.#playback = "opening";
    this.engine.open(`../${this.#query.stream}/master.m3u8`);
    if (!this.#pausedByHand) this.#play();
  }

  async #play() {
    this.#pausedByHand = false;
    try {
      await this.video.play();
    } catch (error) {
      if (error.name === "NotAllowedError") this.#playback = "blocked";
      this.#render();
    }
  }

  #toggle() {
    if (this.#opened === null) return;
    if (this.video.paused) return this.#play();
    this.#pausedByHand = true;
    this.video.pause();
  }

  #toggleSound() {
    this.#soundTouched = true;
    this.video.muted = !this.video.muted;
  }

  #goLive() {
    this.engine?.goLive();
    this.#play();
  }

  #toggleFullscreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else if (byId("player").requestFullscreen) byId("player").requestFullscreen();
    else this.video.webkitEnterFullscreen?.();
  }

  #listen() {
    const { video } = this;
    const become = (playback) => () => {
      this.#playback = playback;
      this.#render();
    };
    video.addEventListener("playing", become("playing"));
    video.addEventListener("ended", become("over"));
    video.addEventListener("pause", () => this.#pausedByHand && become("paused")());
    video.addEventListener("volumechange", () => this.#render());
    video.addEventListener("waiting", () => {
      if (this.#playback !== "playing") return;
      if (!video.seeking) this.events.stalls += 1;
      become("waiting")();
    });
    video.addEventListener("click", () => this.#toggle());
    byId("play").addEventListener("click", () => this.#toggle());
    byId("mute").addEventListener("click", () => this.#toggleSound());
    byId("unmute").addEventListener("click", () => this.#toggleSound());
    byId("go-live").addEventListener("click", () => this.#goLive());
    byId("fullscreen").addEventListener("click", () => this.#toggleFullscreen());
    byId("fullscreen").hidden = !document.fullscreenEnabled && !video.webkitEnterFullscreen;
    byId("quality").addEventListener("change", ({ target }) => this.engine?.choose(target.value));
    byId("player").addEventListener("keydown", (event) => this.#pressed(event));
  }

  #pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
    const onButton = event.target.tagName === "BUTTON"; // where the space bar presses the button
    const actions = { m: () => this.#toggleSound(), l: () => this.#goLive(), f: () => this.#toggleFullscreen() };
    if (!onButton) actions[" "] = () => this.#toggle();
    const action = actions[event.key.toLowerCase()];
    if (!action) return;
    event.preventDefault();
    action();
  }

  #complain(words) {
    this.#complaint = words || this.#query.complaints.join(" ");
    this.#renderNotice();
  }

  #renderNotice() {
    setText(byId("notice"), this.#complaint);
    byId("notice").hidden = this.#complaint === "";
  }

  #render() {
    const { video } = this;
    const words = STATE_WORDS[this.state];
    setText(byId("state"), words);
    byId("state").dataset.state = this.state;
    byId("state").title = Number.isNaN(this.#since.getTime()) ? "" : `since ${this.#since.toLocaleString()}`;
    document.title = `${this.#query.stream}: ${words.split(":")[0]}`;
    this.#renderOverlay(overlayFor(this.state, this.#playback, this.#reason));
    this.#renderControls(video);
    this.#renderLatency();
    this.#renderQuality();
  }

  #renderOverlay(overlay) {
    byId("overlay").hidden = overlay === null;
    if (overlay === null) return;
    setText(byId("overlay-title"), overlay.title);
    setText(byId("overlay-text"), overlay.text);
    byId("spinner").hidden = !overlay.busy;
  }

  #renderControls(video) {
    const show = (id, on, label) => {
      byId(id).classList.toggle("on", on);
      byId(id).setAttribute("aria-label", label);
    };
    show("play", !video.paused, video.paused ? "Play" : "Pause");
    show("mute", video.muted, video.muted ? "Unmute" : "Mute");
    byId("play").disabled = this.#opened === null;
    byId("unmute").hidden = this.#soundTouched || !video.muted || this.#playback !== "playing";
  }

  #renderLatency() {
    const latency = this.#playback === "playing" ? this.engine.latency() : null;
    const words = { paused: "Paused", over: "Ended", waiting: "Waiting", opening: "Starting" };
    setText(byId("latency"), latency === null ? (words[this.#playback] ?? "Not playing") : `${latency.toFixed(1)} s`);
    setText(byId("latency-unit"), latency === null ? "" : " behind live");
    byId("go-live").disabled = this.#opened === null;
    byId("go-live").classList.toggle("at-live", latency !== null && this.engine.isAtLive());
  }

  #renderQuality() {
    const select = byId("quality");
    const rungs = [...(this.engine?.rungs ?? [])].sort((a, b) => b.order - a.order);
    const shown = JSON.stringify(rungs);
    if (shown !== this.#rungsShown) {
      this.#rungsShown = shown;
      const options = rungs.map(({ value, label }) => new Option(label, value));
      select.replaceChildren(new Option("Auto", "auto"), ...options);
    }
    select.disabled = rungs.length < 2;
    const chosen = this.engine?.chosen ?? "auto";
    if (select.value !== chosen) select.value = chosen;
    const current = this.engine?.current;
    const tells = chosen === "auto" && current && this.#playback === "playing";
    setText(select.options[0], tells ? `Auto (${current})` : "Auto");
  }
}

const page = new Page(parseQuery(location.search));

// For tests, and for the curious who open the console.
window.bucketcast = {
  events: page.events,
  latency: () => page.engine?.latency() ?? null,
  get hls() { return page.engine?.hls ?? null; },
  get state() { return page.state; },
};

page.start();
