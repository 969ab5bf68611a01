// A video: plays from the disk of whoever looks at it, beside the curves that the server draws of it.
import { follow } from './curves.js';
import { make, save, send } from './shared.js';

const BROKEN = 'The server broke off; try again.';

/** A place in the page for a video, in which it can be explained. */
export function startFilm(container, file, { videoBytes, plot }) {
  const address = URL.createObjectURL(file);
  const video = make('video', { controls: true, src: address, preload: 'metadata', 'aria-label': file.name });
  const status = make('p', { role: 'status', class: 'soft' }, 'waits');
  const progress = make('progress', { max: 1, value: 0, 'aria-label': `Progress of ${file.name}` });
  const table = make('button', { type: 'button', hidden: true }, 'Save CSV');
  const curves = make('div', { class: 'tracks' });
  const section = make('section', { class: 'film' }, make('h3', {}, file.name),
    make('div', { class: 'side' }, video, make('div', {}, status, progress, table)), curves);
  container.append(section);
  let rows = [];

  video.onerror = () => status.after(make('p', { class: 'soft small' }, 'This browser cannot play the video; the curves are not affected.'));
  table.onclick = () => save(`${file.name.replace(/\.[^.]*$/, '')}.csv`, rows, 'text/csv');
  follow(video, curves, plot);

  function take(event) {
    if (event.error) throw new Error(event.error);
    if (event.rows) rows.push(event.rows);
    const said = `${event.frames} frames looked at, ${event.faces} faces`;
    if (event.html === undefined) {
      if (event.seconds) progress.value = Math.min(1, event.time / event.seconds);
      status.textContent = `${event.time.toFixed(1)}${event.seconds ? ` of ${event.seconds.toFixed(1)}` : ''} s; ${said}`;
      return false;
    }
    status.textContent = said;
    curves.innerHTML = event.html; // the server's own, every name in it escaped
    progress.hidden = true;
    table.hidden = event.faces === 0;
    return true;
  }

  async function explain(model, signal) {
    rows = [];
    status.textContent = 'is sent';
    progress.hidden = false;
    if (file.size > videoBytes) {
      throw new Error(`This video is too large: at most ${videoBytes / 2 ** 20} MB are taken; cut it, or run 'aucue explain' on it.`);
    }
    try {
      const answer = await send('/page/video', { model }, file, signal);
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = '', finished = false;
      const read = () => reader.read().catch((error) => { throw signal.aborted ? error : new Error(BROKEN); });
      for (let part; !(part = await read()).done;) {
        const lines = (text + part.value).split('\n');
        text = lines.pop();
        for (const line of lines) finished = take(JSON.parse(line)) || finished;
      }
      if (!finished) throw new Error(BROKEN);
    } catch (error) {
      if (signal.aborted || error.lost) status.textContent = 'stopped';
      throw error;
    }
  }

  return {
    explain,
    fail(reason) { status.textContent = reason; status.className = 'failed'; progress.hidden = true; },
    remove() { URL.revokeObjectURL(address); section.remove(); },
  };
}
