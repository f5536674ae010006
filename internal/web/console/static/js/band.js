// The marking band covers what is loaded later: a page says what its band covers,
// a part brings the band over both, which is put up before the part is shown. What
// came meanwhile by another part stays in the band until the next one joins all.
(function () {
  "use strict";
  var bands = document.querySelectorAll("#band,#band-foot");
  function covers() { return bands[0].dataset.labels; }
  document.body.addEventListener("htmx:before:request", function (e) {
    var q = e.detail.ctx.request;
    q.headers["Noroshi-Labels"] = e.detail.ctx.covers = covers();
  });
  document.body.addEventListener("htmx:before:response", function (e) {
    var ctx = e.detail.ctx, h = ctx.response.headers, labels = h.get("Noroshi-Labels"), text = h.get("Noroshi-Band"), tone = +h.get("Noroshi-Tone");
    if (!labels || !text || labels === covers()) return;
    text = decodeURIComponent(text);
    if (ctx.covers !== covers()) {
      labels = covers() + " " + labels;
      text = bands[0].textContent + " // " + text;
      tone = Math.max(tone, bands[0].dataset.tone);
    }
    bands.forEach(function (b) {
      b.dataset.labels = labels;
      b.dataset.tone = tone;
      b.textContent = text;
    });
  });
})();
