// The broadcaster page: it joins what the person does, the browser's devices and a WHIP connection by `advance`.
// Words are set as text, never as HTML; the key is in its field, in requests to the server, and nowhere else
// unless the person wants it remembered.

import { CaptureFailed, canShareScreens, capture, listDevices } from "./capture.js";
import {
  BITRATE, NO_SOUND, SCREEN, asBitrate, endpointAddress, keyOf, parseChoices, sending, streamOf, viewerAddress,
} from "./choices.js";
import { INITIAL, advance, isOff } from "./lifecycle.js";
import { NO_TREND, follow, measure, weaknesses } from "./measurements.js";
import { WhipConnection } from "./whip.js";
import { TURNED, faultWords, figures, situation, weaknessWords } from "./words.js";

const CHOICES = "bucketcast.studio.choices";
const KEY = "bucketcast.studio.key";
const MEASURE_MS = 2000; // often enough to see a change, too rarely to make numbers flicker
const RENDER_MS = 500;
const TURNED_MS = 15_000; // as long as somebody may wonder
const COPIED_MS = 4000;
const FIRST_PICTURE_MS = 1000; // cameras take a third of it

const byId = (id) => document.getElementById(id);

// Live regions speak on every change of text, so text that is the same must not be set again.
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function setItems(list, texts) {
  if ([...list.children].map((item) => item.textContent).join("\n") === texts.join("\n")) return;
  list.replaceChildren(...texts.map((text) => {
    const item = document.createElement("li");
    item.className = "notice";
    item.textContent = text;
    return item;
  }));
}

// Storage may be forbidden, or full; then nothing is remembered.
function remember(name, text) {
  try {
    if (text === null) localStorage.removeItem(name);
    else localStorage.setItem(name, text);
  } catch {
    // The page works without.
  }
}

function recall(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

// Settings may tell how a sensor lies; how a phone is held, only the first picture tells. A screen on which nothing
// moves may not send one soon.
const firstPicture = (element) =>
  new Promise((resolve) => {
    element.addEventListener("loadedmetadata", resolve, { once: true });
    setTimeout(resolve, FIRST_PICTURE_MS);
  });

class Studio {
  state = INITIAL;
  source = null;
  connection = null;
  measured = null;
  #capturing = 0; // numbers requests for a source: only the last one counts
  #choices = parseChoices(recall(CHOICES));
  #sending = null;
  #trend = NO_TREND;
  #faults = [];
  #turnedAt = -Infinity;
  #upright = null;
  #muted = false;
  #retry = 0;
  #wakeLock = null;
  #viewerTemplate = null;

  async start() {
    this.#fillIn();
    this.#takeKey();
    this.#listen();
    setInterval(() => this.#render(), RENDER_MS);
    setInterval(() => this.#measure(), MEASURE_MS);
    this.#render();
    byId("go").disabled = false;
    await Promise.all([this.#showDevices(), this.#configure()]);
    if (await this.#mayShowAtOnce()) this.#capture();
  }

  // Where permission was given before, nobody has to press anything to see themselves.
  async #mayShowAtOnce() {
    if (this.#choices.picture === SCREEN || !isOff(this.state) || this.state.source !== "none") return false;
    try {
      const names = ["camera", ...(this.#choices.sound === NO_SOUND ? [] : ["microphone"])];
      const granted = await Promise.all(names.map((name) => navigator.permissions.query({ name })));
      return granted.every(({ state }) => state === "granted") && this.state.source === "none";
    } catch {
      return false; // a browser that does not tell
    }
  }

  async #configure() {
    try {
      const answer = await fetch("studio/configuration.json", { cache: "no-cache" });
      const { viewer } = await answer.json();
      this.#viewerTemplate = typeof viewer === "string" ? viewer : null;
    } catch {
      // Without it there is no link, and nothing else is missing.
    }
    this.#render();
  }

  // What happens.

  dispatch(event) {
    const [next, effects] = advance(this.state, { now: Date.now(), random: Math.random(), ...event });
    const wasOn = !isOff(this.state);
    this.state = next;
    for (const effect of effects) this.#carryOut(effect);
    if (wasOn !== !isOff(next)) this.#keepAwake();
    this.#render();
  }

  #carryOut(effect) {
    switch (effect.type) {
      case "capture":
        return void this.#capture();
      case "connect":
        return this.#connect(effect.attempt);
      case "disconnect":
        return this.#disconnect();
      case "wait":
        this.#retry = setTimeout(() => this.dispatch({ type: "retry" }), effect.delay);
        return undefined;
      default:
        return clearTimeout(this.#retry);
    }
  }

  #connect(attempt) {
    this.#disconnect();
    this.#sending = sending(this.#choices, this.source.sizeIn(byId("self")));
    this.connection = new WhipConnection({
      endpoint: endpointAddress(document.baseURI, this.#sending),
      key: this.#key,
      tracks: this.source.tracks,
      sending: this.#sending,
      screen: this.source.screen,
      tell: (event) => this.dispatch({ ...event, attempt }),
    });
  }

  #disconnect() {
    this.connection?.close();
    this.connection = null;
    this.measured = null;
    this.#trend = NO_TREND;
    this.#faults = [];
  }

  async #capture() {
    const number = (this.#capturing += 1);
    this.dispatch({ type: "asking" });
    this.#stopSource(); // phones open one camera at a time
    let source = null;
    try {
      source = await capture(this.#choices);
    } catch (error) {
      const kind = error instanceof CaptureFailed ? error.kind : "source-failed";
      if (number === this.#capturing) this.dispatch({ type: "capture-failed", kind });
      return undefined;
    }
    if (number !== this.#capturing) return source.stop();
    this.#show(source);
    await firstPicture(byId("self"));
    if (source !== this.source) return undefined;
    await this.#send(source);
    this.dispatch({ type: "captured" });
    return this.#showDevices();
  }

  #show(source) {
    this.source = source;
    this.#upright = null;
    source.mute(this.#muted);
    source.video.addEventListener("ended", () => this.#sourceEnded(source));
    byId("self").srcObject = new MediaStream([source.video]);
    byId("self").classList.toggle("mirrored", !source.screen);
  }

  // What is on air changes its source without a new connection.
  async #send(source) {
    if (!this.connection) return;
    this.#sending = sending(this.#choices, source.sizeIn(byId("self")));
    const { screen, tracks } = source;
    await this.connection.replace(tracks, { sending: this.#sending, screen }).catch(() => {});
  }

  #sourceEnded(source) {
    if (source !== this.source) return;
    this.#stopSource();
    this.dispatch({ type: "source-ended" });
  }

  #stopSource() {
    this.source?.stop();
    this.source = null;
    byId("self").srcObject = null;
  }

  #release() {
    this.#capturing += 1;
    this.#stopSource();
    this.dispatch({ type: "released" });
    byId("preview").focus();
  }

  #pressed() {
    if (!isOff(this.state)) return this.dispatch({ type: "end" });
    const insecure = !window.isSecureContext || !navigator.mediaDevices;
    const unsupported = typeof RTCPeerConnection !== "function";
    const missing = this.#key === "" && "key-missing";
    const obstacle = (insecure && "insecure") || (unsupported && "unsupported") || missing || null;
    this.dispatch({ type: "go", obstacle });
    if (obstacle === "key-missing") byId("key").focus();
    return undefined;
  }

  // The picture that is sent has turned: the server follows by itself.
  #resized() {
    const { videoWidth, videoHeight } = byId("self");
    if (!videoWidth) return;
    const upright = videoHeight > videoWidth;
    if (this.#upright !== null && this.#upright !== upright && this.connection) this.#turnedAt = Date.now();
    this.#upright = upright;
    this.#render();
  }

  async #measure() {
    const { connection } = this;
    if (!connection || this.state.phase !== "live") return;
    const [reports, status] = await Promise.all([connection.statistics(), connection.status()]);
    if (connection !== this.connection || this.state.phase !== "live") return;
    const now = Date.now();
    this.measured = measure(reports, this.measured, now);
    const facts = { asked: this.#sending.bitrate, liveFor: now - this.state.connectedAt, screen: this.source?.screen };
    this.#trend = follow(this.#trend, this.measured, facts);
    if (status !== null) this.#faults = status.faults;
    this.#render();
  }

  // A phone that goes to sleep takes its camera with it.
  async #keepAwake() {
    try {
      if (isOff(this.state)) {
        await this.#wakeLock?.release();
        this.#wakeLock = null;
      } else if (!document.hidden) {
        this.#wakeLock = await navigator.wakeLock?.request("screen");
      }
    } catch {
      // It may be refused on an empty battery.
    }
  }

  // What is chosen.

  get #key() {
    return byId("key").value.trim();
  }

  #fillIn() {
    const { size, frameRate, bitrate, screenSound, rememberKey } = this.#choices;
    byId("size").value = String(size);
    byId("frame-rate").value = String(frameRate);
    byId("bitrate").value = String(bitrate);
    byId("bitrate").min = String(BITRATE.least);
    byId("bitrate").max = String(BITRATE.most);
    byId("screen-sound").checked = screenSound;
    byId("remember").checked = rememberKey;
    if (rememberKey) byId("key").value = recall(KEY) ?? "";
  }

  // From the address, where it must not stay: addresses are shown, shared and remembered.
  #takeKey() {
    const key = keyOf(location.hash);
    if (key === null) return;
    byId("key").value = key;
    history.replaceState(null, "", location.pathname + location.search);
    this.#rememberKey();
    this.#render();
  }

  #rememberKey() {
    remember(KEY, this.#choices.rememberKey && this.#key ? this.#key : null);
  }

  #choose(changes) {
    this.#choices = { ...this.#choices, ...changes };
    remember(CHOICES, JSON.stringify(this.#choices));
    this.#rememberKey();
  }

  async #showDevices() {
    const { cameras, microphones } = await listDevices();
    const named = (devices, word) =>
      devices.map(({ deviceId, label }, index) => new Option(label || `${word} ${index + 1}`, deviceId));
    const screens = canShareScreens() ? [new Option("Screen, window or tab", SCREEN)] : [];
    this.#fill("picture", [...named(cameras, "Camera"), ...screens], "Camera");
    this.#fill("sound", [...named(microphones, "Microphone"), new Option("No sound", NO_SOUND)], "Microphone");
    this.#render();
  }

  // What was chosen, or else what runs; before anything is known, whatever the browser will give.
  #fill(name, options, word) {
    const select = byId(name);
    const running = name === "picture" ? this.source?.cameraId : this.source?.audio?.getSettings().deviceId;
    const wished = this.#choices[name];
    const has = (value) => options.some((option) => option.value === value);
    const value = [wished, running].find((each) => each && has(each)) ?? "";
    const all = value === "" ? [new Option(word, ""), ...options] : options;
    const shown = (each) => each.map((option) => `${option.value} ${option.text}`).join("\n");
    if (shown([...select.options]) !== shown(all)) select.replaceChildren(...all);
    select.value = value;
  }

  #recapture() {
    if (this.state.source !== "none" || this.connection) this.#capture();
    else this.dispatch({ type: "released" }); // what was wrong was wrong with another choice
  }

  #listen() {
    const on = (id, type, act) => byId(id).addEventListener(type, act);
    on("studio", "submit", (event) => {
      event.preventDefault();
      this.#pressed();
    });
    on("preview", "click", () => this.#capture());
    on("release", "click", () => this.#release());
    on("mute", "click", () => {
      this.#muted = !this.#muted;
      this.source?.mute(this.#muted);
      this.#render();
    });
    on("show", "click", () => {
      byId("key").type = byId("key").type === "password" ? "text" : "password";
      this.#render();
    });
    on("copy", "click", () => this.#copy());
    on("key", "input", () => this.#render());
    on("key", "change", () => this.#rememberKey());
    on("remember", "change", ({ target }) => this.#choose({ rememberKey: target.checked }));
    on("self", "resize", () => this.#resized());
    this.#listenToChoices(on);
    this.#listenToPage();
  }

  #listenToChoices(on) {
    const chooses = (id, change) => on(id, "change", ({ target }) => {
      this.#choose(change(target));
      this.#recapture();
      this.#render();
    });
    chooses("picture", ({ value }) => ({ picture: value }));
    chooses("sound", ({ value }) => ({ sound: value }));
    chooses("screen-sound", ({ checked }) => ({ screenSound: checked }));
    chooses("size", ({ value }) => ({ size: Number(value) }));
    chooses("frame-rate", ({ value }) => ({ frameRate: Number(value) }));
    on("bitrate", "change", ({ target }) => {
      target.value = String(asBitrate(target.value));
      this.#choose({ bitrate: Number(target.value) });
    });
  }

  #listenToPage() {
    window.addEventListener("hashchange", () => this.#takeKey());
    window.addEventListener("online", () => this.dispatch({ type: "online" }));
    window.addEventListener("pagehide", () => this.#leave());
    window.addEventListener("beforeunload", (event) => {
      if (this.state.phase === "live") event.preventDefault(); // nobody ends a broadcast by a slip
    });
    document.addEventListener("visibilitychange", () => this.#keepAwake());
    navigator.mediaDevices?.addEventListener("devicechange", () => this.#showDevices());
  }

  // A page that comes back from the browser's memory finds itself turned off.
  #leave() {
    this.dispatch({ type: "end" });
    this.#capturing += 1;
    this.#stopSource();
    this.dispatch({ type: "released" });
  }

  async #copy() {
    try {
      await navigator.clipboard.writeText(byId("viewer").href);
      setText(byId("copied"), "Copied");
    } catch {
      setText(byId("copied"), "The browser did not let it be copied");
    }
    setTimeout(() => setText(byId("copied"), ""), COPIED_MS);
  }

  // What is shown.

  #render() {
    const now = Date.now();
    const { tone, name, title, text } = situation(this.state, now);
    for (const id of ["state", "situation"]) byId(id).dataset.tone = tone;
    setText(byId("state"), name);
    setText(byId("title"), title);
    setText(byId("text"), text);
    const stream = streamOf(this.#key);
    setText(byId("stream"), stream ?? "Bucketcast studio");
    document.title = `${stream ?? "Bucketcast studio"}: ${name}`;
    setItems(byId("notices"), this.#notices(now));
    this.#renderControls();
    this.#renderFigures(now);
    this.#renderViewer();
  }

  #notices(now) {
    if (this.state.phase !== "live") return [];
    const turned = now - this.#turnedAt < TURNED_MS ? [TURNED] : [];
    return [...turned, ...weaknessWords(weaknesses(this.#trend)), ...faultWords(this.#faults)];
  }

  #renderControls() {
    const off = isOff(this.state);
    const focused = document.activeElement;
    const wantsScreen = this.#choices.picture === SCREEN;
    setText(byId("go-label"), off ? "Go live" : "End");
    byId("go").classList.toggle("ends", !off);
    byId("curtain").hidden = this.source !== null;
    setText(byId("curtain-title"), wantsScreen ? "No screen is shared" : "The camera is off");
    setText(byId("preview"), wantsScreen ? "Share a screen" : "Turn camera on");
    setText(byId("release"), wantsScreen ? "Stop sharing" : "Turn camera off");
    byId("release").hidden = this.source === null || !off;
    byId("mute").disabled = !this.source?.audio;
    byId("mute").setAttribute("aria-pressed", String(this.#muted));
    const shown = byId("key").type === "text";
    setText(byId("show"), shown ? "Hide" : "Show");
    byId("show").setAttribute("aria-pressed", String(shown));
    byId("screen-sound-label").hidden = !wantsScreen;
    byId("access").disabled = !off;
    byId("quality").disabled = !off;
    byId("locked").hidden = off;
    byId("sound").disabled = this.connection !== null && !this.connection.hasSound;
    // What goes takes the focus with it, and whoever has no mouse would begin at the top again.
    if (focused?.matches(":disabled") || focused?.closest("[hidden]")) byId("go").focus();
  }

  #renderFigures(now) {
    const live = this.state.phase === "live";
    byId("figures").hidden = !live;
    if (!live) return;
    const words = figures(this.measured, now - this.state.liveSince);
    for (const [id, text] of Object.entries(words)) setText(byId(id), text);
  }

  #renderViewer() {
    const address = viewerAddress(this.#viewerTemplate, this.#key, document.baseURI);
    byId("watch").hidden = address === null;
    if (address !== null && byId("viewer").href !== address) byId("viewer").href = address;
  }
}

const studio = new Studio();

// For tests, and for the curious who open the console; it holds no key.
window.bucketcast = {
  get state() { return studio.state; },
  get measured() { return studio.measured; },
};

studio.start();
