"use strict";
// Plays the steps of each trace of the page: buttons, the slider, and keys. Without it the page shows everything.
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const PAUSE = 1800; // milliseconds at each step
const players = [...document.querySelectorAll(".way")].map(way => {
  const player = way.querySelector(".player"), steps = [...way.querySelectorAll(".step")];
  const [range, said] = [player.querySelector("input"), player.querySelector("output")];
  const [play, fold] = [player.querySelector(".play"), player.querySelector(".fold")];
  const folded = [...way.querySelectorAll("details")], words = player.dataset;
  let at = 0, timer = 0;

  // 0 shows all steps; else those up to this one, which is marked.
  function show(number, scroll = true) {
    at = Math.max(0, Math.min(steps.length, number));
    way.classList.toggle("played", at > 0);
    steps.forEach((step, place) => {
      step.classList.toggle("later", at > 0 && place >= at);
      step.classList.toggle("now", place === at - 1);
      if (place === at - 1) step.setAttribute("aria-current", "step");
      else step.removeAttribute("aria-current");
    });
    range.value = at;
    said.textContent = at ? words.step.replace("{number}", at).replace("{count}", steps.length) : words.all;
    range.setAttribute("aria-valuetext", said.textContent);
    if (at) {
      const hidden = document.createElement("span");
      hidden.className = "unseen";
      hidden.textContent = ": " + [".agent", ".host", ".text"]
        .map(css => steps[at - 1].querySelector(css)).filter(Boolean).map(one => one.textContent).join(" ");
      said.append(hidden);
      if (scroll) steps[at - 1].scrollIntoView({block: "nearest", behavior: calm.matches ? "auto" : "smooth"});
    }
  }
  function pause() {
    clearInterval(timer);
    timer = 0;
    tell();
  }
  function tell() {
    player.classList.toggle("playing", timer > 0);
    play.setAttribute("aria-label", timer ? words.pause : words.play);
  }
  function toggle() {
    if (timer) return pause();
    show(at >= steps.length ? 1 : at + 1);
    timer = setInterval(() => at >= steps.length ? pause() : show(at + 1), PAUSE);
    tell();
  }
  function go(number) {
    pause();
    show(number);
  }
  function open(all) {
    folded.forEach(one => { one.open = all; });
    fold.textContent = all ? words.close : words.open;
  }
  play.addEventListener("click", toggle);
  player.querySelector(".back").addEventListener("click", () => go(Math.max(1, at - 1)));
  player.querySelector(".forward").addEventListener("click", () => go(at + 1));
  player.querySelector(".every").addEventListener("click", () => go(0));
  range.addEventListener("input", () => go(Number(range.value)));
  fold.addEventListener("click", () => open(!folded.every(one => one.open)));
  if (!folded.length) fold.hidden = true;
  player.hidden = false;
  show(0);
  return {way, toggle, played: () => at > 0, forward: () => go(at + 1), back: () => go(Math.max(1, at - 1)), all: () => go(0)};
});

document.addEventListener("keydown", event => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || event.defaultPrevented) return;
  const target = event.target;
  const one = players.find(each => each.way.contains(target)) || players.find(each => each.played()) || players[0];
  if (!one) return;
  const slides = target.matches("input"), presses = target.matches("button, summary, input, a");
  // The space bar turns pages where nothing is played and nothing of the player has the focus.
  const keys = {
    ArrowRight: slides ? null : one.forward,
    ArrowLeft: slides ? null : one.back,
    Escape: one.all,
    " ": presses || !(one.played() || one.way.contains(target)) ? null : one.toggle,
  };
  const act = keys[event.key];
  if (act) {
    event.preventDefault();
    act();
  }
});

// On paper everything is open; afterwards it is as it was.
let closed = [];
addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("details:not([open])")];
  closed.forEach(one => { one.open = true; });
});
addEventListener("afterprint", () => closed.forEach(one => { one.open = false; }));
