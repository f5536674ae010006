// What comes while a page is open: a FLASH shows in the title, in the icon, in its
// row and once to who listens; a page whose stream is lost asks by itself.
(function () {
  "use strict";
  var body = document.body, icon = document.querySelector("link[rel=icon]"), lost = document.getElementById("lost");
  var say = document.getElementById("say"), rail = function () { return document.querySelector("nav.nav"); };
  if (!rail()) return;
  var title = document.title.replace(/^\(\d+\) FLASH · /, ""), last = rail().dataset.last, known = rows(), said = 0, up = false;

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
  }
  function tell(text) { // one at a time, at most every 5 s
    var wait = Math.max(0, said + 5000 - Date.now());
    said = Date.now() + wait;
    setTimeout(function () { say.textContent = text; }, wait);
  }
  body.addEventListener("htmx:after:swap", function () {
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
