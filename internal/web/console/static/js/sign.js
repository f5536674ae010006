// The end of a session: a page says so before it comes, lets it be put off without
// being loaded again or goes on in a new one, and where somebody has typed stays when it has come.
(function () {
  "use strict";
  var end = document.getElementById("ending"), typed = false, timer;
  if (!end) return;
  var said = end.firstChild, links = end.querySelectorAll("a");
  function at(seconds) {
    end.hidden = seconds > 0;
    clearTimeout(timer);
    timer = setTimeout(function () { end.hidden = false; }, seconds * 1000);
  }
  function over() {
    said.textContent = said.dataset.over;
    links[0].hidden = true;
    links[1].hidden = end.hidden = false;
  }
  at(+end.dataset.in);
  function ask() {
    fetch("/stay").then(function (res) {
      return res.redirected ? over() : res.json().then(function (now) {
        said.textContent = now.text;
        links[0].hidden = now.last;
        links[1].hidden = !now.last;
        at(now.in);
      });
    }).catch(function () {}); // no answer: the note stays
  }
  links[0].addEventListener("click", function (e) {
    e.preventDefault();
    ask();
  });
  addEventListener("focus", function () { // whoever signed in in another tab comes back
    if (!end.hidden) ask();
  });
  document.addEventListener("input", function (e) { typed = typed || !!e.target.closest("main form"); });
  document.body.addEventListener("htmx:before:response", function (e) {
    if (!typed || e.detail.ctx.response.status !== 401) return;
    e.preventDefault();
    over();
  });
})();
// Passkeys: a form with a button [data-passkey] is sent once to learn what the
// passkey must sign, and again with what it signed.
(function () {
  "use strict";
  if (!window.PublicKeyCredential || !navigator.credentials) return;
  document.documentElement.classList.add("pk");

  function bytes(s) {
    return Uint8Array.from(atob(s.replace(/-/g, "+").replace(/_/g, "/")), function (c) { return c.charCodeAt(0); });
  }
  function text(b) {
    return btoa(String.fromCharCode.apply(null, new Uint8Array(b))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  }
  function named(ids) {
    return (ids || []).map(function (id) { return { type: "public-key", id: bytes(id) }; });
  }
  function put(form, name, value) {
    var i = document.createElement("input");
    i.type = "hidden"; i.name = name; i.value = value;
    form.appendChild(i);
  }
  function make(w) {
    return navigator.credentials.create({ publicKey: {
      challenge: bytes(w.challenge), rp: { name: w.rp }, user: { id: bytes(w.user), name: w.name, displayName: w.display },
      pubKeyCredParams: [{ type: "public-key", alg: -8 }, { type: "public-key", alg: -7 }], excludeCredentials: named(w.exclude),
      authenticatorSelection: { residentKey: "required", userVerification: "required" }, attestation: "none"
    } }).then(function (c) { return { attestation: text(c.response.attestationObject), client: text(c.response.clientDataJSON) }; });
  }
  function sign(w) {
    return navigator.credentials.get({ publicKey: { challenge: bytes(w.challenge), allowCredentials: named(w.allow), userVerification: "required" } }).then(function (c) {
      var r = c.response;
      return { id: text(c.rawId), data: text(r.authenticatorData), client: text(r.clientDataJSON), signature: text(r.signature) };
    });
  }
  document.addEventListener("click", function (e) {
    var button = e.target.closest("[data-passkey]");
    if (!button) return;
    var form = button.form, failed = form.querySelector("[data-passkey-failed]"), data = new FormData(form);
    function send() {
      if (button.name) put(form, button.name, button.value);
      HTMLFormElement.prototype.submit.call(form);
    }
    failed.hidden = true;
    data.set("passkey", "ask");
    if (button.name) data.set(button.name, button.value);
    fetch(form.getAttribute("action"), { method: "POST", body: form.enctype === "multipart/form-data" ? data : new URLSearchParams(data) }).then(function (res) {
      if (res.headers.get("Content-Type") !== "application/json") return send(); // something else is wrong: the page says what
      return res.json().then(function (want) {
        return (want.create ? make(want.create) : sign(want.get)).then(function (done) {
          put(form, "passkey", JSON.stringify(done));
          put(form, "nonce", want.nonce || "");
          send();
        });
      });
    }).catch(function () { failed.hidden = false; });
  });
})();
