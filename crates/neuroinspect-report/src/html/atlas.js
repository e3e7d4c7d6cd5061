"use strict";
const { classes, units } = JSON.parse(document.getElementById("atlas").textContent);
const AT_ONCE = 48;
const [list, one, search, made] = ["units", "unit", "search", "run"].map((id) => document.getElementById(id));

const nameOf = (picture) => (picture.class === null ? "by itself" : classes[picture.class]);
const number = (value) => (value === 0 ? "0" : Number(value.toPrecision(4)).toString());
for (const unit of units) {
  const words = [unit.name, ...unit.labels, ...unit.pictures.map(nameOf)];
  unit.text = words.join("\n").toLowerCase();
}

function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function figure(unit, picture, file, caption) {
  const shown = file
    ? element("img", {
        src: file,
        alt: `${unit.name} within ${nameOf(picture)}`,
        loading: "lazy",
        onload: (event) => event.target.classList.toggle("pixels", event.target.naturalWidth <= 64),
      })
    : element("p", { className: "soft" }, "its picture left the finite numbers");
  const lines = caption.map((line) => element("span", {}, line));
  return element("figure", {}, shown, element("figcaption", {}, ...lines));
}

function labels(unit) {
  return element("ul", { className: "chips" }, ...unit.labels.map((label) => element("li", {}, label)));
}

function captionOf(picture) {
  const doubted = ["doubtful", "shows nothing"].includes(picture.verdict);
  const said = doubted ? picture.verdict : picture.unmoved && "not moved";
  return said ? [nameOf(picture), said] : [nameOf(picture)];
}

function card(unit) {
  const pictures = unit.pictures.map((picture) => figure(unit, picture, picture.file, captionOf(picture)));
  const title = element("a", { href: `#${unit.id}` }, unit.name);
  return element(
    "article",
    { className: "card" },
    element("header", {}, element("h3", {}, title)),
    labels(unit),
    element("div", { className: "row" }, ...pictures),
  );
}

function facts(picture) {
  const lines = [nameOf(picture)];
  if (picture.activation !== null) lines.push(`activation ${number(picture.activation)}`);
  if (picture.probability !== null) lines.push(`probability ${number(picture.probability)}`);
  if (picture.similarity !== null) lines.push(`CLIP similarity ${number(picture.similarity)}`);
  if (picture.unmoved && picture.verdict !== "shows nothing") lines.push(picture.unmoved);
  if (picture.trust) lines.push(picture.trust);
  return lines;
}

function showOne(index) {
  const unit = units[index];
  const figures = unit.pictures.flatMap((picture) => {
    const whole = figure(unit, picture, picture.file, facts(picture));
    const where = ["where the unit is active"];
    return picture.masked ? [whole, figure(unit, picture, picture.masked, where)] : [whole];
  });
  const link = (other, text) => (other ? [element("a", { href: `#${other.id}` }, text)] : []);
  const back = element("a", { href: `#${query()}` }, "all units");
  one.replaceChildren(
    element("nav", {}, back, ...link(units[index - 1], "previous"), ...link(units[index + 1], "next")),
    element(
      "article",
      { className: "card" },
      element("header", {}, element("h2", {}, unit.name)),
      labels(unit),
      element("div", { className: "row" }, ...figures),
    ),
  );
}

/** What is searched for, as it stands in the address. */
function query() {
  const given = new URLSearchParams();
  for (const [name, value] of new FormData(search)) if (value) given.set(name, value);
  return given.toString();
}

function found() {
  const words = search.elements.words.value.toLowerCase().split(/\s+/).filter(Boolean);
  const wanted = search.elements.class.value;
  const ofClass = (picture) => String(picture.class) === wanted;
  return units.filter(
    (unit) => words.every((word) => unit.text.includes(word)) && (!wanted || unit.pictures.some(ofClass)),
  );
}

let more = null;
function showAll() {
  const matching = found();
  search.querySelector("output").textContent = `${matching.length} of ${units.length}`;
  list.replaceChildren();
  more?.disconnect();
  // As many as fit the window, and further ones when its end is near.
  let shown = 0;
  more = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    more.disconnect();
    add();
  }, { rootMargin: "800px" });
  const add = () => {
    list.append(...matching.slice(shown, shown + AT_ONCE).map(card));
    shown += AT_ONCE;
    if (shown < matching.length) more.observe(list.lastElementChild);
  };
  add();
}

function show() {
  const address = location.hash.slice(1);
  const index = units.findIndex((unit) => unit.id === address);
  const single = index >= 0;
  [list.hidden, search.hidden, made.hidden, one.hidden] = [single, single, single, !single];
  if (single) {
    showOne(index);
    scrollTo(0, 0);
    return;
  }
  const given = new URLSearchParams(address);
  search.elements.words.value = given.get("words") ?? "";
  search.elements.class.value = given.get("class") ?? "";
  showAll();
}

const pictured = new Set(units.flatMap((unit) => unit.pictures.map((picture) => picture.class)));
const options = classes.flatMap((name, index) =>
  pictured.has(index) ? [element("option", { value: index }, name)] : [],
);
search.elements.class.append(...options);
search.addEventListener("input", () => {
  showAll();
  // Last, because a browser may refuse to change an address so often.
  history.replaceState(null, "", `#${query()}`);
});
search.addEventListener("submit", (event) => event.preventDefault());
addEventListener("hashchange", show);
show();
