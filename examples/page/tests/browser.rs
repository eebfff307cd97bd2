//! The page in a real browser: headless Chromium, driven by chromedriver over its HTTP interface (WebDriver). Leaves a
//! picture of each room in target/tmp/pictures.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use std::{fs, thread};

use base64::prelude::{BASE64_STANDARD, Engine};
use page::{ball::Balls, digits::Training, valley::Valley};
use serde_json::{Value, json};

const TMP: &str = env!("CARGO_TARGET_TMPDIR");

/// The page's folder, written once.
static PAGE: LazyLock<PathBuf> = LazyLock::new(|| {
    let dir = Path::new(TMP).join("page");
    assert!(Command::new(env!("CARGO_BIN_EXE_page")).arg(&dir).status().unwrap().success());
    dir
});

struct Browser {
    driver: Child,
    port: u16,
    session: String,
    page: String,
}

impl Browser {
    /// Opens a browser with an empty profile.
    fn new(name: &str, page: &str, width: u32, height: u32) -> Self {
        let mut driver = Command::new("chromedriver");
        driver.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null());
        let mut driver = driver.spawn().expect("chromedriver is there");
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines().map(Result::unwrap);
        let port =
            lines.find_map(|line| line.split_once("successfully on port ")?.1.trim_end_matches('.').parse().ok());
        let profile = Path::new(TMP).join("profiles").join(name);
        let _ = fs::remove_dir_all(&profile);
        let mut browser = Browser { driver, port: port.expect("a port"), session: String::new(), page: page.into() };
        let flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --hide-scrollbars \
            --disable-background-networking --disable-component-update --disable-sync";
        let mut args: Vec<String> = flags.split_whitespace().map(String::from).collect();
        args.push(format!("--user-data-dir={}", profile.display()));
        args.push(format!("--window-size={width},{height}"));
        let options = json!({
            "browserName": "chrome",
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
            "goog:chromeOptions": { "binary": "/usr/bin/chromium", "args": args },
        });
        let session = browser.post("", json!({ "capabilities": { "alwaysMatch": options } }));
        browser.session = format!("/{}", session["sessionId"].as_str().unwrap());
        browser.devtools(
            "Emulation.setDeviceMetricsOverride",
            json!({
                "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500,
            }),
        );
        browser.post("/url", json!({ "url": "about:blank" }));
        browser.log("performance"); // the browser's own first page
        browser
    }

    fn post(&self, path: &str, body: Value) -> Value {
        let body = body.to_string();
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let (session, len) = (&self.session, body.len());
        write!(
            stream,
            "POST /session{session}{path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len}\r\n\r\n{body}"
        )
        .unwrap();
        let mut reader = BufReader::new(stream);
        let headers = (&mut reader).lines().map(Result::unwrap).take_while(|line| !line.is_empty());
        let len =
            headers.filter_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok()).last();
        let mut answer = vec![0; len.expect("a length")];
        reader.read_exact(&mut answer).unwrap();
        let value = serde_json::from_slice::<Value>(&answer).unwrap()["value"].take();
        assert!(value["error"].is_null(), "{path} {body}: {value}");
        value
    }

    /// What was logged since the last call.
    fn log(&self, kind: &str) -> Vec<Value> {
        self.post("/se/log", json!({ "type": kind })).as_array().unwrap().clone()
    }

    fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.post("/goog/cdp/execute", json!({ "cmd": command, "params": parameters }))
    }

    fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", json!({ "script": script, "args": [] }))
    }

    fn text(&self, script: &str) -> String {
        self.run(&format!("return String({script})")).as_str().unwrap().into()
    }

    /// The numbers of a script, to the bit: JavaScript writes text that reads back as the same number.
    fn numbers(&self, script: &str) -> Vec<f64> {
        let list = self.run(&format!("return Array.from({script}, String)"));
        list.as_array().unwrap().iter().map(|number| number.as_str().unwrap().parse().unwrap()).collect()
    }

    fn wait(&self, condition: &str) {
        let start = Instant::now();
        while self.text(condition) != "true" {
            assert!(start.elapsed() < Duration::from_secs(120), "never: {condition}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Loads the page at `#link` and waits until the run has as many steps as the link says.
    fn open(&self, link: &str) {
        self.post("/url", json!({ "url": "about:blank" }));
        self.post("/url", json!({ "url": format!("{}#{link}", self.page) }));
        self.wait("typeof wasm === 'object' && Object.values(open).every((room) => !room.playing)");
    }

    fn element(&self, selector: &str) -> String {
        let found = self.post("/element", json!({ "using": "css selector", "value": selector }));
        found.as_object().unwrap().values().next().unwrap().as_str().unwrap().into()
    }

    fn click(&self, selector: &str) {
        self.post(&format!("/element/{}/click", self.element(selector)), json!({}));
    }

    fn press(&self, selector: &str, keys: &str) {
        self.post(&format!("/element/{}/value", self.element(selector)), json!({ "text": keys }));
    }

    fn hash(&self) -> String {
        self.text("location.hash")
    }

    /// There is no message on the console, and no request except for the page's own files.
    fn finish(&self) {
        assert_eq!(self.log("browser"), [] as [Value; 0]);
        let root = self.page.trim_end_matches("index.html");
        let mut files = Vec::new();
        for entry in self.log("performance") {
            let message: Value = serde_json::from_str(entry["message"].as_str().unwrap()).unwrap();
            if message["message"]["method"] == "Network.requestWillBeSent" {
                let url = message["message"]["params"]["request"]["url"].as_str().unwrap();
                let file = url.strip_prefix(root).unwrap_or_else(|| panic!("a request for {url}"));
                files.push(file.split('#').next().unwrap().to_owned());
            }
        }
        files.sort();
        files.dedup();
        assert_eq!(files, ["index.html", "page.css", "page.js", "wasm.js"]);
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let delete = format!("DELETE /session{} HTTP/1.1\r\nHost: localhost\r\n\r\n", self.session);
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) {
            let _ = stream.write_all(delete.as_bytes());
            let _ = stream.read(&mut [0; 64]); // it answers when the browser has gone
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

fn file() -> String {
    format!("file://{}/index.html", PAGE.display())
}

/// A server of the page's four files.
fn served() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut stream in listener.incoming().map(Result::unwrap) {
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap_or_default();
            let Some(name) = line.split(' ').nth(1).map(|path| path.trim_start_matches('/')) else { continue };
            let kind = match name.rsplit('.').next() {
                Some("html") => "text/html",
                Some("css") => "text/css",
                _ => "text/javascript",
            };
            let body = fs::read(PAGE.join(name)).unwrap_or_else(|_| panic!("a request for {name}"));
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
    });
    format!("http://127.0.0.1:{port}/index.html")
}

fn same_bits(what: &str, browser: &[f64], native: impl IntoIterator<Item = f64>) {
    let native: Vec<f64> = native.into_iter().collect();
    assert_eq!(browser.len(), native.len(), "{what}");
    for (i, (b, n)) in browser.iter().zip(&native).enumerate() {
        assert_eq!(b.to_bits(), n.to_bits(), "{what}, number {i}: {b} in the browser, {n} natively");
    }
}

fn as_f64(params: &[f32]) -> impl Iterator<Item = f64> {
    params.iter().copied().map(f64::from)
}

#[test]
fn runs_end_with_the_native_bits() {
    for page in [file(), served()] {
        let browser = Browser::new("bits", &page, 1280, 900);

        for (momentum, noise) in [(0.9, 0.0), (0.97, 0.5)] {
            browser.open(&format!("ball?rate=0.05&momentum={momentum}&noise={noise}&seed=7&steps=1000"));
            let mut balls = Balls::new(0.05, momentum, noise, 7).unwrap();
            while balls.step().unwrap() {}
            same_bits("state", &browser.numbers("numbers(wasm.ball_state())"), balls.state());
            for rule in 0..5 {
                same_bits("path", &browser.numbers(&format!("numbers(wasm.ball_path({rule}))")), balls.path(rule));
            }
            // The reader sees x, velocity and gradient in each row.
            let shown =
                balls.state().enumerate().filter(|(i, _)| [0, 2, 3].contains(&(i % 5))).map(|(_, number)| number);
            same_bits("table", &browser.numbers("all('#ball-table data').map((data) => data.value)"), shown);
        }

        for (batch, order, number) in [(1, "replacement", 0), (8, "shuffle", 2), (32, "fixed", 1), (256, "shuffle", 2)]
        {
            browser.open(&format!("valley?batch={batch}&rate=0.1&order={order}&seed=3&steps=4096"));
            let mut valley = Valley::new(0.1, batch, number, 3).unwrap();
            while valley.step().unwrap() {}
            same_bits("path", &browser.numbers("numbers(wasm.valley_path(0))"), valley.path());
            same_bits("losses", &browser.numbers("numbers(wasm.valley_losses(0))"), valley.losses());
            same_bits("cloud", &browser.numbers("numbers(wasm.valley_cloud(0))"), valley.cloud().unwrap());
            let [a, b, loss, _, _, updates, samples, _] = valley.state();
            let shown = browser.numbers("all('#valley-list data').map((data) => data.value)");
            same_bits("list", &shown[..6], [updates, samples, samples / 256.0, a, b, loss]);
        }

        browser.open("digits?batch=64&rate=0.1&momentum=0.9&seed=5&steps=9999");
        let mut training = Training::new(0.1, 0.9, 64, 5).unwrap();
        while training.step().unwrap() {}
        same_bits("params", &browser.numbers("numbers(wasm.digits_params())"), as_f64(training.params()));
        same_bits("checks", &browser.numbers("numbers(wasm.digits_checks())"), training.checks());
        let [loss, _, held_out, sharpness] = training.end();
        let shown = browser.numbers("all('#digits-table data').map((data) => data.value)");
        same_bits("table", &shown, [held_out, sharpness, loss, training.updates() as f64]);
        browser.finish();
    }
}

#[test]
fn every_control_and_button_works_by_keyboard_and_is_in_the_link() {
    const RIGHT: &str = "\u{e014}";
    let browser = Browser::new("controls", &file(), 1280, 900);
    for (room, controls) in [
        ("ball", [("rate", "0.1"), ("momentum", "0.91"), ("noise", "0.1"), ("seed", "5")]),
        ("valley", [("batch", "16"), ("rate", "0.2"), ("order", "fixed"), ("seed", "5")]),
        ("digits", [("batch", "64"), ("rate", "0.2"), ("momentum", "0.01"), ("seed", "5")]),
    ] {
        browser.open(room);
        for (name, value) in controls {
            browser.click(&format!("#{room} [data-do=step]"));
            assert!(browser.hash().ends_with("&steps=1"), "{}", browser.hash());
            let keys = match name {
                "seed" => "\u{e003}\u{e017}5", // backspace, delete
                "order" => "one f",
                _ => RIGHT,
            };
            browser.press(&format!("#{room} [name={name}]"), keys);
            assert!(browser.hash().contains(&format!("{name}={value}&")), "{name}: {}", browser.hash());
            assert!(browser.hash().ends_with("&steps=0"), "a setting starts the run anew: {}", browser.hash());
        }
        // The same link, the same settings.
        let link = browser.hash();
        browser.open(&link[1..]);
        assert_eq!(browser.hash(), link);

        // A run that is far from its end when it is paused.
        let long = link.replace("batch=64", "batch=1");
        browser.open(&long[1..]);
        let play = format!("#{room} [data-do=play]");
        browser.press(&play, " ");
        assert_eq!(browser.text(&format!("$('{play}').textContent")), "Pause");
        browser.wait(&format!("open.{room}.steps >= 3"));
        browser.press(&play, " ");
        let steps = browser.text(&format!("open.{room}.steps"));
        assert!(browser.hash().ends_with(&format!("&steps={steps}")), "{}", browser.hash());
        assert!(browser.text(&format!("$('#{room} .count').textContent.replaceAll(',', '')")).contains(&steps));
        assert_eq!(browser.text(&format!("$('{play}').textContent")), "Play");
        browser.press(&format!("#{room} [data-do=reset]"), "\u{e007}"); // return
        assert_eq!(browser.hash(), long);
        browser.open(&link[1..]);
        if room != "ball" {
            let epoch = if room == "valley" { 16 } else { 113 };
            browser.press(&format!("#{room} [data-do=epoch]"), " ");
            browser.wait(&format!("!open.{room}.playing"));
            assert!(browser.hash().ends_with(&format!("&steps={epoch}")), "{}", browser.hash());
        }

        browser.open(&format!("{room}?seed=-1&size=3&steps=2"));
        let said = browser.text(&format!("$('#{room} .status').textContent"));
        assert!(said.starts_with("The link has seed=-1, size=3, which"), "{said}");
        assert!(browser.hash().contains("&seed=0&steps=2"), "{}", browser.hash());
    }
    browser.click("nav a[href='#valley']");
    browser.wait("location.hash.startsWith('#valley?batch=8&')");
    assert_eq!(browser.text("all('section:not([hidden])').map((section) => section.id)"), "valley");
    assert_eq!(browser.text("all('nav [aria-current]').map((link) => link.hash)"), "#valley");

    browser.open("digits");
    browser.click("#measure");
    browser.wait("!$('#measure').disabled");
    assert!(browser.numbers("times.flat()").iter().all(|time| *time > 0.0));
    assert_eq!(browser.text("all('#time-table tbody tr').length"), "14");
    browser.finish();
}

#[test]
fn reduced_motion_changes_the_picture_twice_a_second() {
    let browser = Browser::new("still", &file(), 1280, 900);
    let features = json!({ "features": [{ "name": "prefers-reduced-motion", "value": "reduce" }] });
    browser.devtools("Emulation.setEmulatedMedia", features);
    browser.open("ball");
    browser.run(
        "window.at = [];
        const { tick } = open.ball;
        open.ball.tick = function () { at.push(performance.now()); tick.call(this); };",
    );
    browser.click("#ball [data-do=play]");
    browser.wait("open.ball.steps >= 45");
    browser.click("#ball [data-do=play]");
    assert_eq!(browser.text("open.ball.steps % 15"), "0");
    let gaps = browser.numbers("at.slice(1).map((time, i) => time - at[i])");
    assert!(gaps.len() >= 2 && gaps.iter().all(|&gap| gap >= 490.0), "{gaps:?} ms");
    browser.finish();
}

/// On a wide screen and on a phone, light and dark: nothing is cut off, no two words overlap, every text stands out.
#[test]
fn every_room_can_be_read() {
    let pictures = Path::new(TMP).join("pictures");
    fs::create_dir_all(&pictures).unwrap();
    for (width, height) in [(1280, 900), (360, 740)] {
        let browser = Browser::new("pictures", &file(), width, height);
        for scheme in ["light", "dark"] {
            let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
            browser.devtools("Emulation.setEmulatedMedia", features);
            for (room, steps) in [("ball", 60), ("valley", 75), ("digits", 9999)] {
                browser.open(&format!("{room}?steps={steps}"));
                if room == "digits" {
                    browser.click("#measure");
                    browser.wait("!$('#measure').disabled");
                    browser.run("$('details').open = true");
                }
                let shot = browser.devtools("Page.captureScreenshot", json!({ "captureBeyondViewport": true }));
                fs::write(
                    pictures.join(format!("{room}-{width}-{scheme}.png")),
                    BASE64_STANDARD.decode(shot["data"].as_str().unwrap()).unwrap(),
                )
                .unwrap();
                let faults = browser.run(&format!("const WIDTH = {width}; {READABLE}"));
                assert_eq!(faults, json!([]), "{room}, {width} pixels, {scheme}");
            }
        }
        browser.finish();
    }
}

/// Lists what is wider than the window, texts of a chart that overlap or leave it, and texts with too little contrast.
const READABLE: &str = r#"
const faults = [];
if (document.documentElement.scrollWidth > WIDTH) faults.push("wider than the window");
for (const svg of all("section:not([hidden]) svg")) {
  const frame = svg.getBoundingClientRect();
  const boxes = all("text", svg).map((text) => [text.textContent, text.getBoundingClientRect()]);
  boxes.forEach(([text, box], i) => {
    if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 || box.bottom > frame.bottom + 1)
      faults.push(`${svg.id}: "${text}" leaves the chart`);
    for (const [other, its] of boxes.slice(i + 1))
      if (box.left < its.right && its.left < box.right && box.top < its.bottom - 3 && its.top < box.bottom - 3)
        faults.push(`${svg.id}: "${text}" and "${other}" overlap`);
  });
}
const parts = (color) => color.match(/[\d.]+/g).map(Number);
const light = (color) => parts(color).slice(0, 3).map((c) => c / 255)
  .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
  .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const ground = (element) => {
  const color = getComputedStyle(element).backgroundColor;
  return parts(color)[3] === 0 ? ground(element.parentElement) : color;
};
for (const element of all("body *")) {
  if (!element.checkVisibility() || ![...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) continue;
  const style = getComputedStyle(element);
  const [a, b] = [light(element.localName === "text" ? style.fill : style.color), light(ground(element))];
  const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (contrast < 4.5) faults.push(`${element.localName} "${element.textContent.trim()}": contrast ${contrast}`);
}
return faults;
"#;

#[test]
fn the_page_is_small() {
    let sizes = fs::read_dir(&*PAGE).unwrap().map(|file| file.unwrap().metadata().unwrap().len());
    let total: u64 = sizes.sum();
    assert!(total < 250_000, "{total} bytes");
}
