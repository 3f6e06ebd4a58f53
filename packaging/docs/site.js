/* A table that is wider than the page scrolls by itself: the keyboard reaches it, as it reaches a block of code. */
document$.subscribe(() => {
  for (const box of document.querySelectorAll(".md-typeset__scrollwrap")) box.tabIndex = 0;
});
