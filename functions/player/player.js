// The viewer page: it reads the bucket and nothing else. state.json says whether there is something to play,
// hls.js (or the browser itself) plays it; recordings.json lists what can be watched afterwards. Words are set as
// text, never as HTML.

import { NativeEngine, engineFor } from "./engines.js";
import { readObject, retryDelay } from "./objects.js";
import { RecordingList, Storyboard, clockTime, filesOf, partsOf, spokenTime } from "./recordings.js";

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
const FAILURES_BEFORE_UNKNOWN = 3; // one lost answer is no reason to take back what is known
const RENDER_MS = 500;
// A recording does not come and go as a live stream does: the file of a VOD is tried after 3 s, and given up after 7.
const ATTEMPTS_AT_VOD = 2;
const ATTEMPTS_AT_FILE = 3;
const SEEK_STEP_SECONDS = 5;
const SEEK_THUMB_PX = 16; // as browsers draw it
const LAST_BROADCAST = 99999999; // its number has eight digits in names

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
  const recording = query.get("recording");
  const isNumber = /^[0-9]+$/.test(recording) && Number(recording) >= 1 && Number(recording) <= LAST_BROADCAST;
  if (recording !== null && !isNumber) complaints.push("recording is the number of a broadcast: 1 for the first.");
  const stream = query.get("stream") ?? "";
  const valid = STREAM_ID.test(stream) && !RESERVED_STREAM_IDS.includes(stream);
  return {
    stream: valid ? stream : null,
    asked: stream,
    recording: isNumber ? Number(recording) : null,
    native: engine === "native",
    hlsConfig,
    complaints,
  };
}

function parseState(record, stream) {
  const known = ["idle", "live", "interrupted", "ended"];
  if (record?.version !== 1 || record.stream !== stream || !known.includes(record.state)) return null;
  if (!Number.isSafeInteger(record.broadcast) || record.broadcast < 0) return null;
  return { state: record.state, broadcast: record.broadcast, since: new Date(record.since) };
}

const isOnAir = (state) => state === "live" || state === "interrupted";

// What covers the picture: nothing while there is one to see. *watch* is what its button says, if it has one.
const say = (title, text = "", watch = "") => ({ title, text, watch, busy: false });
const wait = (title, text = "") => ({ title, text, watch: "", busy: true });
const BLOCKED = say("Press play to watch", "The browser did not let the picture start by itself.");
const isShown = (playback) => playback === "playing" || playback === "paused";

function overlayOfLive(state, playback, reason, recording) {
  if (isShown(playback)) return null;
  if (playback === "blocked") return BLOCKED;
  switch (state) {
    case "absent":
    case "idle":
      return say("Not on air yet", "This page starts by itself when the broadcast begins.");
    case "live":
      return wait(playback === "opening" ? "Starting" : "Waiting for the stream");
    case "interrupted":
      return wait("Interrupted", "The broadcaster may come back. This page goes on by itself.");
    case "ended":
      return overlayOfEnd(recording);
    case "unknown":
      return wait("No answer", `The stream's state cannot be read (${reason}). This page goes on trying.`);
    default:
      return wait("Connecting");
  }
}

function overlayOfEnd(recording) {
  const next = "The next one plays here by itself when it begins.";
  if (!recording) return say("The broadcast has ended", next);
  const length = recording.seconds ? `Its recording is ${spokenTime(recording.seconds)} long.` : "";
  return say("The broadcast has ended", length, "Watch the recording");
}

function overlayOfRecording(broadcast, playback, list) {
  if (isShown(playback)) return null;
  switch (playback) {
    case "blocked":
      return BLOCKED;
    case "opening":
      return wait("Starting");
    case "waiting":
      return wait(""); // a moment after every seek: no words for that
    case "over":
      return say("The recording is over", "", "Watch it again");
    case "failed":
      return say("The recording cannot be played right now", "", "Try again");
    default:
      return overlayOfMissing(broadcast, list);
  }
}

function overlayOfMissing(broadcast, list) {
  if (list.find(broadcast) || !list.answered) return wait("Looking for the recording");
  const there = `There is no recording of broadcast ${broadcast}`;
  return list.asksOn
    ? say(`${there} yet`, "If it is still being made, it plays here as soon as it is ready.")
    : say(there);
}

// What state.json says.

const readState = (stream) =>
  readObject(`../${stream}/state.json`, (text) => parseState(JSON.parse(text), stream));

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

// The page.

const byId = (id) => document.getElementById(id);

// Live regions speak on every change of text, so text that is the same must not be set again.
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

class Page {
  events = { stalls: 0, levelSwitches: 0, fatalErrors: 0, reloads: 0 };
  state = "connecting";
  engine = null; // what plays, if something does
  #query;
  #hls; // what plays HLS: undefined until that is known, null for nothing
  #files; // what plays MP4
  #list;
  #storyboard = new Storyboard();
  #broadcast = null; // the one that is on air, or was last
  #opened = null; // the one on air that the engine was given
  #chosen = null; // the broadcast whose recording is watched in place of what is on air
  #parts = []; // of the recording that is open
  #part = 0;
  #at = 0; // where its picture was to start
  #attempts = 0; // that failed since something of the recording was played
  #since = new Date(NaN);
  #playback = "none"; // none, opening, playing, waiting, paused, blocked, over, failed
  #pausedByHand = false;
  #soundTouched = false;
  #complaint = "";
  #reason = ""; // why state.json could not be read
  #rungsShown = "";

  constructor(query) {
    this.#query = query;
    this.#chosen = query.recording;
    this.video = byId("video");
    this.video.muted = true; // without sound every browser lets the picture start by itself
  }

  async start() {
    const { stream, asked, complaints } = this.#query;
    this.#complaint = complaints.join(" ");
    if (stream === null) return this.#refuse(asked);
    setText(byId("stream"), stream);
    this.#files = new NativeEngine(this.video, this.events, this.#listener());
    this.#list = new RecordingList(stream, () => {
      this.#follow();
      this.#render();
    });
    this.#listen();
    new StateWatch(stream, (answer, failures) => this.#heard(answer, failures));
    setInterval(() => this.#render(), RENDER_MS);
    await this.#startEngine();
  }

  get recording() { return this.#chosen; }

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

  #listener() {
    return {
      expectsLive: () => isOnAir(this.state),
      expectsMore: () => this.#expectsMore(),
      failed: (words) => {
        this.#attempts += 1;
        this.#complain(words);
      },
      mended: () => {
        this.#attempts = 0;
        this.#complain("");
      },
      gaveUp: () => this.#gaveUp(),
      restarted: () => this.#pausedByHand || this.#play(),
    };
  }

  #expectsMore() {
    if (this.#chosen !== null) {
      return this.#attempts < (this.#parts[this.#part]?.playlist ? ATTEMPTS_AT_VOD : ATTEMPTS_AT_FILE);
    }
    return isOnAir(this.state) || this.#playback === "playing";
  }

  #gaveUp() {
    // Whatever is on air next is opened anew, be it the same broadcast.
    if (this.#chosen === null) this.#opened = null;
    else this.#giveUpPart();
  }

  async #startEngine() {
    for (let failures = 1; this.#hls === undefined; failures += 1) {
      try {
        this.#hls = await engineFor(this.#query, this.video, this.#files, this.events, this.#listener());
      } catch (error) {
        this.#complain(`${error.message}. Trying again.`);
        await new Promise((resolve) => setTimeout(resolve, retryDelay(failures)));
      }
    }
    this.#complain(this.#hls ? "" : "This browser can play HLS neither by itself nor with hls.js.");
    this.#follow();
  }

  #heard(answer, failures) {
    this.#reason = answer.reason ?? "";
    if (answer.kind === "known") {
      ({ state: this.state, broadcast: this.#broadcast, since: this.#since } = answer.value);
    } else if (answer.kind === "absent") {
      this.state = "absent";
    } else if (this.state === "connecting" || failures >= FAILURES_BEFORE_UNKNOWN) {
      this.state = "unknown";
    }
    if (this.#wanted !== null) this.#list.look(this.#wanted, `${this.state} ${this.#broadcast}`);
    this.#follow();
    this.#render();
  }

  // The broadcast whose recording the page is to know of, or null.
  get #wanted() {
    return this.#chosen ?? (this.state === "ended" ? this.#broadcast : null);
  }

  get #isOpen() {
    return this.#opened !== null || this.#parts.length > 0;
  }

  #follow() {
    if (this.#chosen === null) this.#followLive();
    else if (this.#playback === "none") this.#openRecording(this.#list.find(this.#chosen));
  }

  // Opens what is on air unless it is open already. What has ended is played to its end and not closed.
  #followLive() {
    if (!this.#hls || !isOnAir(this.state) || this.#opened === this.#broadcast) return;
    this.#opened = this.#broadcast;
    this.#open(this.#hls, `../${this.#query.stream}/master.m3u8`, { live: true });
  }

  #open(engine, address, options) {
    if (this.engine !== engine) this.engine?.close();
    this.engine = engine;
    this.#playback = "opening";
    engine.open(address, options);
    if (!this.#pausedByHand) this.#play();
  }

  // Takes away what is open.
  #close(playback) {
    this.engine?.close();
    this.#opened = null;
    this.#parts = [];
    this.#attempts = 0;
    this.#playback = playback;
    this.#complain("");
  }

  async #watch() {
    const broadcast = this.#wanted;
    this.#close("opening");
    this.#chosen = broadcast;
    this.#pausedByHand = false;
    this.video.focus({ preventScroll: true }); // the button goes, and keys should go on working
    this.#render();
    const recording = await this.#list.newest(broadcast);
    if (this.#chosen === broadcast && !this.#isOpen) this.#openRecording(recording);
    this.#render();
  }

  #openRecording(recording) {
    this.#playback = "none";
    // A VOD waits for hls.js.
    if (!recording || (recording.vod && this.#hls === undefined)) return;
    this.#parts = this.#hls ? partsOf(recording) : filesOf(recording);
    this.#openPart(0);
  }

  #openPart(number, at = 0) {
    const { playlist, file, storyboard } = this.#parts[number];
    this.#part = number;
    this.#at = at;
    this.#storyboard.open(storyboard && this.#list.address(storyboard));
    this.#open(playlist ? this.#hls : this.#files, this.#list.address(playlist ?? file), { live: false, at });
    this.#render();
  }

  #giveUpPart() {
    const { instead } = this.#parts[this.#part] ?? {};
    if (!instead) return this.#close("failed");
    // The files that the VOD was made of are together as long.
    this.#parts = instead;
    this.#attempts = 0;
    this.#openPart(0, this.video.currentTime);
  }

  // Opens the next part where this one ends before the picture was to start.
  #skip() {
    const behind = this.#at - this.video.duration;
    if (behind > 0 && this.#part + 1 < this.#parts.length) this.#openPart(this.#part + 1, behind);
  }

  #backToLive() {
    this.#close("none");
    this.#chosen = null;
    this.#pausedByHand = false;
    this.#follow();
    this.#render();
  }

  #over() {
    const next = this.#part + 1;
    if (next < this.#parts.length) return this.#openPart(next);
    this.#playback = "over";
    this.#render();
  }

  #seek(time) {
    if (this.#parts.length === 0 || !Number.isFinite(this.video.duration)) return;
    this.video.currentTime = Math.min(Math.max(0, time), this.video.duration);
    if (this.#playback === "over") this.#play();
    this.#renderTimeline();
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
    if (!this.#isOpen) return;
    if (this.#parts.length > 1 && this.video.ended) return this.#openPart(0);
    if (this.video.paused) return this.#play();
    this.#pausedByHand = true;
    this.video.pause();
  }

  #toggleSound() {
    this.#soundTouched = true;
    this.video.muted = !this.video.muted;
  }

  #goLive() {
    if (this.#chosen !== null) return isOnAir(this.state) && this.#backToLive();
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
    video.addEventListener("ended", () => this.#over());
    video.addEventListener("loadedmetadata", () => this.#skip());
    video.addEventListener("pause", () => this.#pausedByHand && become("paused")());
    video.addEventListener("volumechange", () => this.#render());
    video.addEventListener("waiting", () => {
      if (this.#playback !== "playing") return;
      if (!video.seeking) this.events.stalls += 1;
      become("waiting")();
    });
    for (const name of ["timeupdate", "durationchange"]) video.addEventListener(name, () => this.#renderTimeline());
    video.addEventListener("click", () => this.#toggle());
    byId("play").addEventListener("click", () => this.#toggle());
    byId("mute").addEventListener("click", () => this.#toggleSound());
    byId("unmute").addEventListener("click", () => this.#toggleSound());
    byId("go-live").addEventListener("click", () => this.#goLive());
    byId("fullscreen").addEventListener("click", () => this.#toggleFullscreen());
    byId("fullscreen").hidden = !document.fullscreenEnabled && !video.webkitEnterFullscreen;
    byId("quality").addEventListener("change", ({ target }) => this.engine?.choose(target.value));
    byId("player").addEventListener("keydown", (event) => this.#pressed(event));
    byId("watch").addEventListener("click", () => this.#watch());
    byId("part").addEventListener("change", ({ target }) => {
      this.#pausedByHand = false;
      this.#openPart(Number(target.value));
    });
    this.#listenToTimeline(byId("seek"));
  }

  #listenToTimeline(seek) {
    seek.addEventListener("input", () => this.#seek(Number(seek.value)));
    for (const name of ["pointerdown", "pointermove"]) {
      seek.addEventListener(name, (event) => this.#renderPreview(seek, event.offsetX));
    }
    const hide = () => { byId("preview").hidden = true; };
    for (const name of ["pointerleave", "pointercancel"]) seek.addEventListener(name, hide);
    seek.addEventListener("pointerup", ({ pointerType }) => pointerType === "mouse" || hide());
  }

  #pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
    const onButton = event.target.tagName === "BUTTON"; // where the space bar presses the button
    const actions = { m: () => this.#toggleSound(), l: () => this.#goLive(), f: () => this.#toggleFullscreen() };
    if (!onButton) actions[" "] = () => this.#toggle();
    if (this.#parts.length > 0) {
      actions.arrowleft = () => this.#seek(this.video.currentTime - SEEK_STEP_SECONDS);
      actions.arrowright = () => this.#seek(this.video.currentTime + SEEK_STEP_SECONDS);
    }
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
    this.#renderState();
    this.#renderOverlay(
      this.#chosen === null
        ? overlayOfLive(this.state, this.#playback, this.#reason, this.#endedRecording)
        : overlayOfRecording(this.#chosen, this.#playback, this.#list),
    );
    this.#renderControls(video);
    this.#renderGoLive();
    this.#renderQuality();
    this.#renderTimeline();
    this.#renderPoster(video);
  }

  get #endedRecording() {
    return this.state === "ended" ? this.#list.find(this.#broadcast) : null;
  }

  #renderState() {
    const onAir = isOnAir(this.state);
    const watching = onAir ? "live now: this is a recording" : `recording of broadcast ${this.#chosen}`;
    const words = this.#chosen === null ? STATE_WORDS[this.state] : watching;
    setText(byId("state"), words);
    byId("state").dataset.state = this.#chosen === null || onAir ? this.state : "recording";
    byId("state").title = Number.isNaN(this.#since.getTime()) ? "" : `since ${this.#since.toLocaleString()}`;
    document.title = `${this.#query.stream}: ${words.split(":")[0]}`;
  }

  #renderOverlay(overlay) {
    byId("overlay").hidden = overlay === null;
    if (overlay === null) return;
    setText(byId("overlay-title"), overlay.title);
    setText(byId("overlay-text"), overlay.text);
    setText(byId("watch"), overlay.watch);
    byId("watch").hidden = overlay.watch === "";
    byId("spinner").hidden = !overlay.busy;
  }

  #renderControls(video) {
    const show = (id, on, label) => {
      byId(id).classList.toggle("on", on);
      byId(id).setAttribute("aria-label", label);
    };
    show("play", !video.paused, video.paused ? "Play" : "Pause");
    show("mute", video.muted, video.muted ? "Unmute" : "Mute");
    byId("play").disabled = !this.#isOpen;
    video.setAttribute("aria-label", this.#chosen === null ? "Live picture" : "Recording");
    byId("unmute").hidden = this.#soundTouched || !video.muted || this.#playback !== "playing";
  }

  // The button says how far behind live the picture is; beside a recording it is the way back to what is on air.
  #renderGoLive() {
    const button = byId("go-live");
    const recorded = this.#chosen !== null;
    const latency = !recorded && this.#playback === "playing" ? this.engine.latency() : null;
    const words = { paused: "Paused", over: "Ended", waiting: "Waiting", opening: "Starting" };
    const state = recorded ? "Back to live" : (words[this.#playback] ?? "Not playing");
    setText(byId("latency"), latency === null ? state : `${latency.toFixed(1)} s`);
    setText(byId("latency-unit"), latency === null ? "" : " behind live");
    button.hidden = recorded && !isOnAir(this.state);
    button.disabled = !recorded && this.#opened === null;
    button.title = recorded ? "Leave the recording" : "Go to the newest picture";
    button.classList.toggle("back", recorded);
    button.classList.toggle("at-live", recorded || (latency !== null && this.engine.isAtLive()));
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
    byId("quality-choice").hidden = this.#chosen !== null && rungs.length < 2;
    const chosen = this.engine?.chosen ?? "auto";
    if (select.value !== chosen) select.value = chosen;
    const current = this.engine?.current;
    const tells = chosen === "auto" && current && this.#playback === "playing";
    setText(select.options[0], tells ? `Auto (${current})` : "Auto");
  }

  #renderTimeline() {
    const { currentTime, duration } = this.video;
    const length = Number.isFinite(duration) ? duration : 0;
    const seek = byId("seek");
    byId("timeline").hidden = this.#parts.length === 0;
    byId("seek-keys").hidden = this.#parts.length === 0;
    this.#renderParts();
    if (this.#parts.length === 0) return;
    seek.max = String(length);
    seek.value = String(currentTime);
    seek.disabled = length === 0;
    seek.setAttribute("aria-valuetext", `${spokenTime(currentTime)} of ${spokenTime(length)}`);
    setText(byId("position"), clockTime(currentTime));
    setText(byId("duration"), clockTime(length));
  }

  #renderParts() {
    const select = byId("part");
    const count = this.#parts.length;
    byId("part-choice").hidden = count < 2;
    if (count < 2) return;
    if (select.options.length !== count) {
      select.replaceChildren(...this.#parts.map((_, part) => new Option(`Part ${part + 1} of ${count}`, String(part))));
    }
    if (select.value !== String(this.#part)) select.value = String(this.#part);
  }

  // What there is to see at *x* of the timeline, above it.
  #renderPreview(seek, x) {
    const { duration } = this.video;
    const [preview, picture] = [byId("preview"), byId("thumbnail")];
    const width = seek.clientWidth;
    preview.hidden = !Number.isFinite(duration);
    if (preview.hidden) return;
    // The thumb's middle never reaches the ends of its track.
    const share = (x - SEEK_THUMB_PX / 2) / (width - SEEK_THUMB_PX);
    const time = Math.min(Math.max(0, share), 1) * duration;
    const thumbnail = this.#storyboard.at(time);
    picture.hidden = thumbnail === null;
    if (thumbnail) {
      picture.style.width = `${thumbnail.width}px`;
      picture.style.height = `${thumbnail.height}px`;
      picture.style.backgroundImage = `url("${thumbnail.address}")`;
      picture.style.backgroundPosition = `-${thumbnail.x}px -${thumbnail.y}px`;
    }
    setText(byId("preview-time"), clockTime(time));
    preview.style.left = `${Math.min(Math.max(0, x - preview.offsetWidth / 2), width - preview.offsetWidth)}px`;
  }

  // A recording's poster stands where there is no picture yet.
  #renderPoster(video) {
    const poster = this.#opened === null && this.#wanted !== null && this.#list.find(this.#wanted)?.poster;
    const address = poster ? this.#list.address(poster) : null;
    if (video.getAttribute("poster") === address) return;
    if (address) video.setAttribute("poster", address);
    else video.removeAttribute("poster");
  }
}

const page = new Page(parseQuery(location.search));

// For tests, and for the curious who open the console.
window.bucketcast = {
  events: page.events,
  latency: () => page.engine?.latency() ?? null,
  get hls() { return page.engine?.hls ?? null; },
  get state() { return page.state; },
  get recording() { return page.recording; },
};

page.start();
