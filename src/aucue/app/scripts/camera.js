// The camera: a picture is sent when the last one is answered; faces are marked over the live picture.
import { drawBars, make, partsOf, send, tell } from './shared.js';

const LONGEST = 640; // pixels of a picture's longer side
const QUALITY = 0.85;
const COLORS = ['#ff8a3d', '#3d9dff', '#4cc38a', '#d07bf0', '#f2c230'];
const OVER = 2000; // milliseconds over which pictures are counted

export function start(root) {
  const parts = partsOf(root), { video, marks } = parts;
  const canvas = document.createElement('canvas'), pen = canvas.getContext('2d', { willReadFrequently: true });
  const camera = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  let stream = null, controller = null, answered = [];

  async function begin() {
    if (!navigator.mediaDevices) {
      parts.status.textContent = 'Browsers give the camera to pages of this machine alone: open it as localhost, with a forwarded port if need be.';
      return;
    }
    parts.start.disabled = true;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { width: LONGEST, height: 480 }, audio: false });
    } catch (error) {
      parts.status.textContent = `The camera cannot be used: ${error.message}.`;
      parts.start.disabled = false;
      return;
    }
    video.srcObject = stream;
    await video.play();
    parts.picture.hidden = false;
    parts.start.disabled = parts.explain.disabled = false;
    parts.start.textContent = 'Stop the camera';
    controller = new AbortController();
    follow(controller.signal);
  }

  function end(sentence = '') {
    controller?.abort();
    controller = null;
    for (const track of stream?.getTracks() ?? []) track.stop();
    stream = video.srcObject = null;
    answered = [];
    parts.picture.hidden = parts.explain.disabled = true;
    parts.bars.replaceChildren();
    parts.start.textContent = 'Start the camera';
    parts.status.textContent = sentence;
  }

  /** The picture that is shown now, as a JPEG. toBlob would wait for a browser that has nothing else to do. */
  function taken() {
    const scale = Math.min(1, LONGEST / Math.max(video.videoWidth, video.videoHeight));
    canvas.width = Math.round(scale * video.videoWidth);
    canvas.height = Math.round(scale * video.videoHeight);
    pen.drawImage(video, 0, 0, canvas.width, canvas.height);
    const [, data] = canvas.toDataURL('image/jpeg', QUALITY).split(',');
    return new Blob([Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0))], { type: 'image/jpeg' });
  }

  async function follow(signal) {
    while (!signal.aborted) {
      if (root.offsetParent === null || document.hidden || !video.videoWidth) { // nobody looks
        await new Promise((resolve) => setTimeout(resolve, 200));
        continue;
      }
      try {
        const answer = await (await send('/page/frame', { camera, model: parts.model?.value }, taken(), signal)).json();
        if (signal.aborted) return;
        show(answer);
      } catch (error) {
        if (!signal.aborted) end(error.message);
      }
    }
  }

  function show({ faces, milliseconds }) {
    const now = performance.now();
    answered = [...answered.filter((time) => now - time <= OVER), now];
    const rate = answered.length > 1 ? 1000 * (answered.length - 1) / (now - answered[0]) : 0;
    const none = faces.length ? '' : ' No face is found.';
    parts.status.textContent = `${rate.toFixed(1)} frames per second, ${Math.round(milliseconds)} ms of each on the server.${none}`;
    root.dataset.rate = rate.toFixed(2);
    root.dataset.milliseconds = milliseconds;
    if (faces.length) drawBars(parts.bars, faces[0].bars);
    draw(faces);
  }

  function draw(faces) {
    marks.width = canvas.width;
    marks.height = canvas.height;
    const ink = marks.getContext('2d');
    ink.lineWidth = 2;
    ink.font = '600 15px system-ui, sans-serif';
    for (const { track, box: [left, top, right, bottom], landmarks, expression, bars, doubt } of faces) {
      ink.strokeStyle = ink.fillStyle = COLORS[(track - 1) % COLORS.length];
      ink.strokeRect(left, top, right - left, bottom - top);
      const dot = Math.max(2, Math.round((right - left) / 70)), label = Math.max(top, 21);
      for (const [x, y] of landmarks) ink.fillRect(x - dot / 2, y - dot / 2, dot, dot);
      const text = ` ${track} ${expression} ${bars.find((bar) => bar.name === expression).percent}${doubt ? ' ?' : ''} `;
      ink.fillRect(left - 1, label - 20, ink.measureText(text).width, 20);
      ink.fillStyle = '#16161c';
      ink.fillText(text, left - 1, label - 5);
    }
  }

  async function explain() {
    parts.explain.disabled = true;
    parts.detail.hidden = false;
    parts.detail.replaceChildren(make('p', { class: 'soft' }, 'The frame is explained ...'));
    const model = parts.model?.value;
    try {
      const file = taken();
      const answer = await (await send('/page/photograph', { name: 'frame.jpg', model }, file)).json();
      if (answer.error) throw new Error(answer.error);
      tell(parts.detail, 'This frame', answer, file, model);
    } catch (error) {
      parts.detail.replaceChildren(make('p', {}, error.message));
    }
    parts.explain.disabled = !stream;
  }

  parts.start.onclick = () => (stream ? end() : begin());
  parts.start.disabled = false; // a click before this script was there would be lost
  parts.explain.onclick = explain;
}
