// What both scripts need: elements, requests that wait their turn, and a face as it is told.

/** The elements of a page by their data-part. */
export const partsOf = (root) =>
  Object.fromEntries([...root.querySelectorAll('[data-part]')].map((each) => [each.dataset.part, each]));

/** A new element; text is text, never HTML. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children);
  return element;
}

export const isDark = () => document.documentElement.classList.contains('dark') || document.body.classList.contains('dark');

const pause = (seconds, signal) => new Promise((resolve, reject) => {
  const timer = setTimeout(resolve, 1000 * seconds);
  signal?.addEventListener('abort', () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
});

/** Send something; waits where the server says that it is too much for now. An error has the server's sentence, or is
 * `lost`: the server cannot be reached. */
export async function send(address, options, body, signal) {
  const query = new URLSearchParams(Object.entries(options).filter(([, value]) => value !== undefined));
  for (;;) {
    const answer = await fetch(`${address}?${query}`, { method: 'POST', body, signal }).catch((error) => whyNotSent(error, body, signal));
    if (answer.ok) return answer;
    if (answer.status === 429 || answer.status === 503) {
      await pause(Number(answer.headers.get('Retry-After')) || 2, signal);
      continue;
    }
    const said = await answer.json().catch(() => ({}));
    throw new Error(said.error || `The server could not answer (${answer.status}).`);
  }
}

async function whyNotSent(error, body, signal) {
  if (signal?.aborted) throw error;
  const reader = body.stream().getReader();
  await reader.read().catch(() => { throw new Error('This file cannot be read: it was moved or changed, or is a folder.'); });
  reader.cancel();
  throw Object.assign(new Error('The server does not answer; is it still running?'), { lost: true });
}

/** Bars of probabilities; those that are there already move. */
export function drawBars(container, bars) {
  if (container.childElementCount !== bars.length) {
    container.replaceChildren(...bars.map(() => make('div', {},
      make('span', { class: 'name' }), make('span', { class: 'track' }, make('i')), make('span', { class: 'value' }))));
  }
  const highest = Math.max(...bars.map((bar) => bar.share));
  bars.forEach((bar, index) => {
    const [name, track, value] = container.children[index].children;
    container.children[index].classList.toggle('predicted', bar.share === highest);
    name.textContent = bar.name;
    track.firstChild.style.width = `${100 * bar.share}%`;
    value.textContent = bar.percent;
  });
}

/** What is told of a photograph's faces: sentences, bars, and the maps as a picture, asked for when they are shown. */
export function tell(detail, title, answer, file, model) {
  const faces = answer.faces.map((face, index) => {
    const bars = make('div', { class: 'bars' });
    drawBars(bars, face.bars);
    const maps = make('div', { class: 'shown' });
    const show = make('button', { type: 'button' }, 'Show where it was seen');
    show.onclick = () => showMaps(maps, show, file, model, index + 1, face.expression);
    const told = make('article', { class: 'told' },
      make('h3', {}, `${face.expression} `, make('span', { class: 'percent' }, face.percent)),
      ...(face.doubt ? [make('p', { class: 'doubt' }, make('b', {}, 'Doubtful. '), face.doubt)] : []),
      make('p', {}, face.sentence), bars, show, maps);
    if (index === 0) show.click();
    return told;
  });
  detail.replaceChildren(make('h2', {}, title), ...faces);
  if (answer.left_out) detail.append(make('p', { class: 'soft' }, `${answer.left_out} smaller faces are left out.`));
  detail.hidden = false;
}

async function showMaps(maps, button, file, model, face, expression) {
  button.disabled = true;
  try {
    const theme = isDark() ? 'dark' : 'light';
    const answer = await send('/api/picture', { model, face, theme }, file);
    const address = URL.createObjectURL(await answer.blob());
    const picture = make('img', { src: address, alt: `The face with its maps and probabilities: ${expression}` });
    picture.onload = () => URL.revokeObjectURL(address);
    maps.replaceChildren(picture);
    button.remove();
  } catch (error) {
    maps.textContent = error.message;
    button.disabled = false;
  }
}

/** Let the browser save a text as a file. */
export function save(name, parts, type) {
  const link = make('a', { href: URL.createObjectURL(new Blob(parts, { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
