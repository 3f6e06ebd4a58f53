// Counts the page's animation frames and notes the longest pause between two of them.
window.frameMeter = {
  running: false,
  count: 0,
  longest: 0,
  start() {
    this.running = true;
    this.count = 0;
    this.longest = 0;
    let last = performance.now();
    const frame = (now) => {
      if (!this.running) return;
      this.count += 1;
      this.longest = Math.max(this.longest, now - last);
      last = now;
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  },
  stop() {
    this.running = false;
  },
};
