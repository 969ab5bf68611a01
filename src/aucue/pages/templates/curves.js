// Curves of a video: a click in one, or on a moment, takes the video there, and a line shows where it is.

const SVG = 'http://www.w3.org/2000/svg';

/** Let a video and the curves in an element, of which there may be none yet, follow one another.
 * `plot`: width of the drawings, where their curves begin, how wide they are, and how high a line is. */
export function follow(video, curves, plot) {
  const limits = (chart) => [Number(chart.dataset.from), Number(chart.dataset.to)];
  const within = (share) => Math.min(Math.max(share, 0), 1);

  curves.addEventListener('click', (event) => {
    const button = event.target.closest('[data-time]'), chart = event.target.closest('.chart');
    if (button) return seek(Number(button.dataset.time));
    if (!chart) return;
    const box = chart.getBoundingClientRect(), [from, to] = limits(chart);
    const share = ((event.clientX - box.left) / box.width * plot.width - plot.left) / plot.across;
    seek(from + within(share) * (to - from));
  });
  video.addEventListener('timeupdate', () => curves.querySelectorAll('.chart').forEach(mark));

  function seek(time) {
    video.preload = 'auto'; // until it plays, a page may have asked for its length alone
    video.currentTime = time;
    video.scrollIntoView({ block: 'nearest' });
  }

  function mark(chart) {
    const [from, to] = limits(chart);
    let line = chart.querySelector('.now');
    if (!line) {
      line = document.createElementNS(SVG, 'path');
      line.setAttribute('class', 'now');
      chart.append(line);
    }
    const x = plot.left + within((video.currentTime - from) / (to - from)) * plot.across;
    line.setAttribute('d', `M${x.toFixed(1)} ${plot.top}V${plot.bottom}`);
  }
}
