// A WHIP client (RFC 9725): one connection, from the offer to the DELETE. It tells what happens and decides nothing
// about trying again.

const ANSWER_MS = 10_000; // a server that takes longer is not there
const CONNECT_MS = 12_000; // before the server gives up, after 15 s
const DISCONNECTED_MS = 3000; // a network that changes is silent for a moment; a lost one stays so
// As ingest/protocols/publishing.py names them: coming back would undo what somebody has decided.
const ENDED_ON_PURPOSE = ["ended", "replaced", "refused"];
const STATUS_MS = 5000;
const DELETE_MS = 3000; // then the server misses the media anyway
const LONGEST_DETAIL = 300;

const LINK = /<([^>]*)>((?:\s*;\s*[\w-]+\s*(?:=\s*(?:"(?:\\.|[^"\\])*"|[^\s",;]+))?)*)/g;
const PARAMETER = /;\s*([\w-]+)\s*(?:=\s*(?:"((?:\\.|[^"\\])*)"|([^\s",;]+)))?/g;

// The ICE servers of Link header fields (RFC 9725, 4.6; RFC 8288, 3).
export function iceServers(link) {
  const servers = [];
  for (const [, address, rest] of (link ?? "").matchAll(LINK)) {
    const parameters = {};
    for (const [, name, quoted, token] of rest.matchAll(PARAMETER)) {
      parameters[name.toLowerCase()] ??= quoted?.replace(/\\(.)/g, "$1") ?? token ?? "";
    }
    const { rel = "", username, credential } = parameters;
    if (!rel.split(/\s+/).includes("ice-server") || !/^(stuns?|turns?):/.test(address)) continue;
    servers.push({ urls: address, ...(username !== undefined && { username, credential: credential ?? "" }) });
  }
  return servers;
}

// H.264 goes into the ladder's top rung as it is, if it can; VP8 is what every browser has. Of what is not named
// here a server could want none, or could not repair it.
export function preferredCodecs(codecs) {
  const rank = ({ mimeType, sdpFmtpLine = "" }) => {
    const name = mimeType.toLowerCase();
    if (name === "video/h264") return sdpFmtpLine.includes("packetization-mode=1") ? 0 : 1;
    return { "video/vp8": 2, "video/rtx": 3 }[name] ?? null;
  };
  const ranked = codecs.map((codec) => ({ codec, rank: rank(codec) })).filter((each) => each.rank !== null);
  return ranked.sort((a, b) => a.rank - b.rank).map(({ codec }) => codec);
}

// For seconds only: a date would have to be compared with a clock that may be wrong.
export const retryAfterMs = (value) => (/^\d{1,6}$/.test(value ?? "") ? Number(value) * 1000 : 0);

async function detailOf(answer) {
  if (!answer.headers.get("content-type")?.startsWith("application/problem+json")) return "";
  try {
    const { detail } = await answer.json();
    return typeof detail === "string" ? detail.slice(0, LONGEST_DETAIL) : "";
  } catch {
    return "";
  }
}

export class WhipConnection {
  #connection = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  #session = null; // its address
  #closed = false;
  #told = new Set();
  #timer = 0;
  #video = null;
  #audio = null;
  #hadStatus = false;

  // *tell* hears accepted, connected, lost, unreachable, unsupported, and refused with what the server said.
  constructor({ endpoint, key, tracks, sending, screen, tell }) {
    Object.assign(this, { endpoint, key, sending, screen, tell });
    this.#connection.addEventListener("connectionstatechange", () => this.#look());
    this.#open(tracks).catch(() => this.#fail());
  }

  // Before the server has answered, it is this browser that cannot; afterwards it is the answer.
  #fail() {
    if (this.#session === null) return this.#tell("unsupported");
    return this.#tell("refused", { status: 502, retryAfter: 0, detail: "Its answer cannot be used." });
  }

  async #open({ video, audio }) {
    this.#prepare(video, audio);
    const offer = await this.#connection.createOffer();
    const answer = await this.#post(offer.sdp);
    if (answer === null) return;
    // Candidates are gathered from here on, with the servers that came with the answer. The server needs none of
    // them: it answers wherever our checks come from.
    const servers = iceServers(answer.link);
    if (servers.length) this.#connection.setConfiguration({ bundlePolicy: "max-bundle", iceServers: servers });
    await this.#connection.setLocalDescription(offer);
    this.#timer = setTimeout(() => this.#lose(), CONNECT_MS);
    this.#tell("accepted");
    await this.#connection.setRemoteDescription({ type: "answer", sdp: answer.sdp });
    // A server that closes says so here; the connection's own state may tell it seconds later.
    const { transport } = this.#video;
    transport?.addEventListener("statechange", () => transport.state === "closed" && this.#lose());
    await this.#limit();
  }

  #prepare(video, audio) {
    const { bitrate, frameRate, scale } = this.sending;
    const encoding = { maxBitrate: bitrate, maxFramerate: frameRate, scaleResolutionDownBy: scale };
    const sendonly = { direction: "sendonly" };
    const transceiver = this.#connection.addTransceiver(video, { ...sendonly, sendEncodings: [encoding] });
    const codecs = preferredCodecs(RTCRtpSender.getCapabilities("video").codecs);
    if (codecs.length) transceiver.setCodecPreferences(codecs);
    this.#video = transceiver.sender;
    if (audio) this.#audio = this.#connection.addTransceiver(audio, sendonly).sender;
  }

  // The server scales a smaller picture up without a seam, but it repeats and drops pictures where their rate is
  // not the one declared: so a camera gives up size. On a screen the letters have to stay sharp.
  async #limit() {
    const parameters = this.#video.getParameters();
    parameters.degradationPreference = this.screen ? "maintain-resolution" : "maintain-framerate";
    await this.#video.setParameters(parameters).catch(() => {}); // a browser that does not know it does its best
  }

  async #post(sdp) {
    const headers = { authorization: `Bearer ${this.key}`, "content-type": "application/sdp" };
    let answer = null;
    try {
      const signal = AbortSignal.timeout(ANSWER_MS);
      answer = await fetch(this.endpoint, { method: "POST", headers, body: sdp, signal, cache: "no-store" });
    } catch {
      this.#tell("unreachable", { online: navigator.onLine });
      return null;
    }
    const location = answer.headers.get("location");
    if (answer.status !== 201 || !location) {
      const retryAfter = retryAfterMs(answer.headers.get("retry-after"));
      const status = answer.status === 201 ? 500 : answer.status;
      this.#tell("refused", { status, retryAfter, detail: await detailOf(answer) });
      return null;
    }
    this.#session = new URL(location, answer.url).href;
    if (this.#closed) {
      this.#delete();
      return null;
    }
    return { sdp: await answer.text(), link: answer.headers.get("link") };
  }

  #look() {
    clearTimeout(this.#timer);
    switch (this.#connection.connectionState) {
      case "connected":
        return this.#tell("connected");
      case "disconnected":
        this.#timer = setTimeout(() => this.#lose(), DISCONNECTED_MS);
        return undefined;
      case "failed":
      case "closed":
        return this.#lose();
      default:
        this.#timer = setTimeout(() => this.#lose(), CONNECT_MS);
        return undefined;
    }
  }

  // Whether to come back depends on why: the server may have ended it on purpose.
  async #lose() {
    await this.status();
    this.#tell("lost");
  }

  #tell(type, facts = {}) {
    if (this.#closed || this.#told.has(type)) return;
    this.#told.add(type);
    this.tell({ type, ...facts });
  }

  // Another camera, microphone or screen, without a new connection.
  async replace({ video, audio }, { sending, screen }) {
    this.screen = screen;
    await this.#video.replaceTrack(video);
    await this.#audio?.replaceTrack(audio);
    const parameters = this.#video.getParameters();
    if (parameters.encodings?.length) parameters.encodings[0].scaleResolutionDownBy = sending.scale;
    await this.#video.setParameters(parameters).catch(() => {});
    await this.#limit();
  }

  get hasSound() {
    return this.#audio !== null;
  }

  async statistics() {
    return [...(await this.#connection.getStats()).values()];
  }

  // What the server says of the session, or null where it says nothing.
  async status() {
    if (this.#session === null) return null;
    try {
      const headers = { authorization: `Bearer ${this.key}` };
      const signal = AbortSignal.timeout(STATUS_MS);
      const answer = await fetch(`${this.#session}/status`, { headers, signal, cache: "no-store" });
      // Not every server tells; one that did, and knows the session no more, was restarted meanwhile.
      if (answer.status === 404 && this.#hadStatus) this.#tell("lost");
      if (!answer.ok) return null;
      this.#hadStatus = true;
      const status = await answer.json();
      if (ENDED_ON_PURPOSE.includes(status.reason)) this.#tell("over", status);
      return status;
    } catch {
      return null;
    }
  }

  // Nothing is sent from here on. The connection is closed only when the DELETE was answered, for the server would
  // take its end for a fault; while the page goes away, a request that is kept alive outlives it.
  close() {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const sender of this.#connection.getSenders()) sender.replaceTrack(null).catch(() => {});
    this.#delete().finally(() => this.#connection.close());
  }

  async #delete() {
    if (this.#session === null) return;
    const headers = { authorization: `Bearer ${this.key}` };
    const signal = AbortSignal.timeout(DELETE_MS);
    await fetch(this.#session, { method: "DELETE", headers, signal, keepalive: true }).catch(() => {});
  }
}
