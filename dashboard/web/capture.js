// Records from the browser's microphone and makes a WAV of it, in memory.

export class Capture {
  constructor(onLevel) {
    this.onLevel = onLevel;
    this.parts = [];
    this.length = 0;
  }

  // Throws what getUserMedia throws: NotAllowedError, NotFoundError and others.
  async start() {
    // The room's own sound: what a browser does for telephone calls changes the voice.
    const wanted = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: true };
    this.stream = await navigator.mediaDevices.getUserMedia({ audio: wanted });
    this.context = new AudioContext();
    await this.context.audioWorklet.addModule(`${window.path_prefix || ""}/assets/capture.js`);
    const node = new AudioWorkletNode(this.context, "capture", { numberOfOutputs: 0 });
    node.port.onmessage = ({ data }) => this.take(data);
    this.context.createMediaStreamSource(this.stream).connect(node);
    await this.context.resume();
  }

  take(samples) {
    this.parts.push(samples);
    this.length += samples.length;
    let peak = 0;
    for (const sample of samples) peak = Math.max(peak, Math.abs(sample));
    this.onLevel(peak);
  }

  get seconds() {
    return this.context ? this.length / this.context.sampleRate : 0;
  }

  // Closes the microphone and returns the WAV.
  async stop() {
    for (const track of this.stream ? this.stream.getTracks() : []) track.stop();
    const rate = this.context ? this.context.sampleRate : 48000;
    if (this.context) await this.context.close();
    return wav(this.parts, this.length, rate);
  }
}

function wav(parts, length, rate) {
  const view = new DataView(new ArrayBuffer(44 + 2 * length));
  const word = (at, text) => [...text].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
  word(0, "RIFF");
  view.setUint32(4, 36 + 2 * length, true);
  word(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  word(36, "data");
  view.setUint32(40, 2 * length, true);
  let at = 44;
  for (const part of parts)
    for (const sample of part) {
      view.setInt16(at, Math.max(-32768, Math.min(32767, Math.round(sample * 32768))), true);
      at += 2;
    }
  return new Blob([view.buffer], { type: "audio/wav" });
}
