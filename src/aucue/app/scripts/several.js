// Many photographs and videos: explained one after the other, listed in the order given.
import { startFilm } from './film.js';
import { make, partsOf, save, send, tell } from './shared.js';

const MOST = 2000; // files: what is told of each stays in the browser's memory

export function start(root) {
  const parts = partsOf(root);
  const options = { ...root.dataset, plot: JSON.parse(root.dataset.plot) };
  let items = [], controller = null, trouble = '';

  const model = () => parts.model?.value;
  const endings = root.dataset.videos.split(',');
  const isVideo = (file) => file.type.startsWith('video/') || endings.some((each) => file.name.toLowerCase().endsWith(each));

  function add(files) {
    const room = Math.max(0, MOST - items.length);
    for (const file of [...files].slice(0, room)) {
      const item = { file, model: model(), measure: parts.measure.checked };
      items.push(item);
      if (isVideo(file)) {
        item.film = startFilm(parts.films, file, options);
      } else {
        item.row = make('li', {}, make('span', { class: 'waits' }, 'waits'), make('small', {}, file.name));
        parts.gallery.append(item.row);
      }
    }
    if (files.length > room) parts.status.dataset.more = `${files.length - room} files beyond ${MOST} were left out.`;
    parts.files.value = '';
    run();
  }

  /** Work on what is waiting, if nobody does. */
  async function run() {
    if (controller) return report();
    controller = new AbortController();
    trouble = '';
    const { signal } = controller;
    for (let item; !signal.aborted && (item = items.find((each) => !each.done));) {
      if (item.row) item.row.firstChild.textContent = 'is being explained';
      report();
      try {
        await (item.film ? item.film.explain(item.model, signal) : photograph(item, signal));
      } catch (error) {
        if (error.lost) {
          trouble = error.message;
          controller.abort(); // no fault of this file: it waits with the others
        }
        if (!signal.aborted) fail(item, error.message);
      }
      item.done = !signal.aborted;
      if (item.row && !item.done) item.row.firstChild.textContent = 'waits';
    }
    controller = null;
    report();
  }

  async function photograph(item, signal) {
    const query = { name: item.file.name, model: item.model, if_hidden: item.measure };
    item.answer = await (await send('/page/photograph', query, item.file, signal)).json();
    if (!items.includes(item)) return;
    const [first] = item.answer.faces;
    if (!first) return fail(item, item.answer.error);
    const others = item.answer.faces.length - 1;
    const button = make('button', { type: 'button', 'aria-pressed': 'false' },
      make('img', { src: first.thumbnail, alt: '', width: 256, height: 128 }),
      make('b', {}, `${first.expression} `, make('span', { class: 'percent' }, first.percent)),
      make('small', {}, item.file.name),
      ...(others ? [make('small', {}, `and ${others} more face${others === 1 ? '' : 's'}`)] : []),
      ...(first.doubt ? [make('small', {}, 'Doubtful')] : []));
    button.onclick = () => select(item, button);
    item.row.replaceChildren(button);
  }

  function fail(item, reason) {
    item.failed = true;
    if (item.film) return item.film.fail(reason);
    item.row.className = 'failed';
    item.row.replaceChildren(make('b', {}, item.answer ? 'No face' : 'Not read'), make('small', {}, item.file.name), make('small', {}, reason));
  }

  function select(item, button) {
    for (const each of parts.gallery.querySelectorAll('button')) each.setAttribute('aria-pressed', each === button);
    tell(parts.detail, item.file.name, item.answer, item.file, item.model);
    parts.detail.scrollIntoView({ block: 'nearest', behavior: 'smooth' });
  }

  function report() {
    const done = items.filter((item) => item.done).length, failed = items.filter((item) => item.failed).length;
    const told = items.filter((item) => item.answer);
    parts.work.hidden = items.length === 0;
    parts.progress.max = items.length || 1;
    parts.progress.value = done;
    const stopped = !controller && done < items.length ? ', stopped' : '';
    parts.status.textContent = `${done} of ${items.length} finished${failed ? `, ${failed} without an answer` : ''}${stopped}. ${trouble} ${parts.status.dataset.more || ''}`;
    parts.stop.textContent = stopped ? 'Go on' : 'Stop';
    parts.stop.hidden = !controller && !stopped;
    parts.csv.hidden = parts.jsonl.hidden = told.length === 0;
  }

  parts.stop.onclick = () => (controller ? controller.abort() : run());
  parts.clear.onclick = () => {
    controller?.abort();
    for (const item of items) item.film?.remove();
    items = [];
    trouble = '';
    delete parts.status.dataset.more;
    parts.gallery.replaceChildren();
    parts.detail.hidden = true;
    report();
  };
  const answers = () => items.map((item) => item.answer).filter(Boolean);
  // Models with other classes have other columns: a table has those of the first.
  parts.csv.onclick = () => {
    const [first] = answers();
    save('explanations.csv', [first.head, ...answers().filter((each) => each.head === first.head).map((each) => each.rows)], 'text/csv');
  };
  parts.jsonl.onclick = () => {
    const lines = answers().flatMap((each) => each.records).map((record) => `${JSON.stringify(record)}\n`);
    save('explanations.jsonl', lines, 'application/x-ndjson');
  };

  parts.files.onchange = () => add(parts.files.files);
  if (parts.files.files.length) add(parts.files.files); // chosen before this script was there
  for (const kind of ['dragenter', 'dragover']) {
    parts.drop.addEventListener(kind, (event) => { event.preventDefault(); parts.drop.classList.add('over'); });
  }
  for (const kind of ['dragleave', 'drop']) parts.drop.addEventListener(kind, () => parts.drop.classList.remove('over'));
  parts.drop.addEventListener('drop', (event) => { event.preventDefault(); add(event.dataTransfer.files); });
  document.addEventListener('paste', (event) => {
    if (root.offsetParent !== null && event.clipboardData?.files.length) add(event.clipboardData.files);
  });
}
