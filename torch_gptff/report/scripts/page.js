// Libraries stand in the page compressed, and start when a picture that needs them comes into sight. Until then, without
// JavaScript, in print, and where a browser cannot start them, the still pictures are shown.

"use strict";

async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

const libraries = new Map();

function library(name) {
  if (!libraries.has(name)) {
    libraries.set(
      name,
      unpacked(document.getElementById(`library-${name}`).textContent).then((source) => {
        const script = document.createElement("script");
        script.textContent = source;
        document.head.append(script);
      })
    );
  }
  return libraries.get(name);
}

function dataOf(figure) {
  return JSON.parse(figure.querySelector('script[type="application/json"]').textContent);
}

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function button(words, title, action) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = words;
  made.title = title;
  made.setAttribute("aria-label", title);
  made.addEventListener("click", action);
  return made;
}

function saveAs(name, content, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

// "Frequencies along the path." becomes "Frequencies-along-the-path", which any file system takes.
function fileName(figure) {
  const words = figure.querySelector("figcaption").firstChild?.textContent || document.title;
  return words.trim().slice(0, 60).replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "") || "figure";
}

const lively = new Set(); // what is drawn again when the page turns dark or light

function whenSeen(selector, start) {
  const seen = new IntersectionObserver(
    (entries) => {
      for (const entry of entries.filter((each) => each.isIntersecting)) {
        seen.unobserve(entry.target);
        start(entry.target).catch((error) => {
          entry.target.querySelector(".interactive")?.remove();
          entry.target.classList.remove("live");
          console.warn("A picture stays still:", error);
        });
      }
    },
    { rootMargin: "400px" }
  );
  document.querySelectorAll(selector).forEach((figure) => seen.observe(figure));
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => lively.forEach((redraw) => redraw()));
