// What comes while a page is open: a FLASH shows in the title, in the icon, in its
// row and once to who listens; a page whose stream is lost asks by itself. What is
// read stays where it is: parts are changed and not replaced, and rows that come
// above others wait until they are asked for, unless one is a FLASH.
(function () {
  "use strict";
  var body = document.body, icon = document.querySelector("link[rel=icon]"), lost = document.getElementById("lost");
  var say = document.getElementById("say"), rail = function () { return document.querySelector("nav.nav"); };
  if (!rail()) return;
  var title = document.title.replace(/^\(\d+\) FLASH · /, ""), last = rail().dataset.last, known = rows(), said = 0, up = false;
  var counts = rail().dataset.counts, counted = 0, telling = 0;

  function rows() {
    return [].map.call(document.querySelectorAll("tr[data-flash]"), function (r) { return r.dataset.flash; });
  }
  function edge() {
    var r = rail(), n = r && +r.dataset.flash;
    if (!r) return;
    document.title = (n ? "(" + n + ") FLASH · " : "") + title;
    icon.href = n ? icon.dataset.hot : icon.dataset.calm;
    if (n && r.dataset.last !== last) tell(r.dataset.say);
    last = r.dataset.last;
    if (counts === r.dataset.counts) return;
    counts = r.dataset.counts;
    telling = telling || setTimeout(function () {
      telling = 0;
      counted = Date.now();
      document.getElementById("counts").textContent = counts;
    }, Math.max(0, counted + 5000 - Date.now()));
  }
  function tell(text) { // one at a time, at most every 5 s
    var wait = Math.max(0, said + 5000 - Date.now());
    said = Date.now() + wait;
    setTimeout(function () { say.textContent = text; }, wait);
  }
  function lines(at) { return [].slice.call(at.querySelectorAll("[id^=row-]")); }
  function calm(part, fresh) {
    var button = fresh.querySelector(".fresh"), seen = {}, end = 0, list = lines(fresh);
    var old = lines(part).filter(function (r) { return !r.hidden && (seen[r.id] = true); });
    if (!button || list.some(function (r) { return r.dataset.flash && !seen[r.id]; })) return;
    list.forEach(function (r, i) { if (seen[r.id]) end = i; });
    var wait = list.filter(function (r, i) { return i < end && !seen[r.id] && (r.hidden = true); });
    button.hidden = !wait.length;
    button.textContent = button.dataset.text.replace("#", wait.length);
    var stay = old.map(function (r) { return fresh.querySelector("#" + r.id); }).filter(Boolean);
    list.filter(function (r) { return seen[r.id]; }).map(function (r) {
      var place = document.createComment("");
      r.replaceWith(place);
      return place;
    }).forEach(function (place, i) { place.replaceWith(stay[i]); });
  }
  body.addEventListener("htmx:before:swap", function (e) {
    var task = e.detail.tasks[0], at = document.activeElement;
    if (!task || task.swapSpec.style !== "outerMorph") return;
    if (task.target.contains(at)) e.detail.ctx.at = at;
    calm(task.target, task.fragment);
  });
  document.addEventListener("click", function (e) {
    var b = e.target.closest(".fresh"), list = b && lines(b.closest("[hx-get]")).filter(function (r) { return r.hidden; });
    if (!b) return;
    list.forEach(function (r) { r.hidden = false; });
    (list[0].querySelector("a") || list[0]).focus();
    b.hidden = true;
  });
  body.addEventListener("htmx:after:swap", function (e) {
    var at = e.detail.ctx.at, part = e.detail.ctx.sourceElement;
    if (at && !at.isConnected) {
      part.tabIndex = -1;
      at = part;
    }
    if (at && document.activeElement !== at) at.focus({ preventScroll: true });
    if (up) lost.hidden = true;
    else if (!lost.hidden) lost.querySelector("b").textContent = document.querySelector(".clocks .on b").textContent + " JST";
    edge();
    document.querySelectorAll("tr[data-flash]").forEach(function (r) {
      if (known.indexOf(r.dataset.flash) < 0) r.classList.add("pulse");
    });
    known = known.concat(rows());
  });

  var all = ["warnings", "release", "links", "indicators", "traffic", "changed"];
  setInterval(function () {
    if (!lost.hidden) all.forEach(function (name) { htmx.trigger(body, name, {}); });
  }, 10000);
  // A part that was not given leaves what was there, and the page says so. Of the
  // stream htmx tries only one again that stood once.
  ["htmx:error", "htmx:response:error"].forEach(function (name) {
    body.addEventListener(name, function (e) {
      var ctx = e.detail.ctx;
      if (!ctx) return;
      body.dispatchEvent(new CustomEvent("lost"));
      if (/^\/live/.test(ctx.request.action)) setTimeout(function () { htmx.ajax("GET", "/live", { source: body }); }, 5000);
    });
  });
  body.addEventListener("htmx:sse:after:connection", function (e) { up = e.detail.connection.status === 200; });
  body.addEventListener("htmx:sse:before:connection", function (e) { up = up && !e.detail.connection.attempt; });
})();
