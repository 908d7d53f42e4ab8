// The page as people use it: with script, without, while things change, and with strangers' texts.
import assert from "node:assert/strict";
import { opened, run } from "./browser.mjs";

const [address, control] = process.argv.slice(2);
const order = async (what) => {
  const answer = await fetch(`${control}/${what}`, { method: "POST" });
  assert.equal(answer.status, 200, what);
};
const verdict = (page) => page.textContent("#verdict");
const says = (page, text) => page.waitForFunction((t) => document.querySelector("#verdict").textContent.includes(t), text);
const rows = (page) => page.locator(".checks > tbody:not([hidden])").count();

run([
  ["without script everything is there", async (browser) => {
    const { page, complaints, close } = await opened(browser, address, { javaScriptEnabled: false });
    assert.match(await verdict(page), /5 faults block 5 of 9 scenarios/);
    assert.equal(await page.locator(".finding").count(), 6);
    assert.equal(await page.locator(".checks > tbody").count(), 30);
    for (const text of ["Firewall team", "openssl s_client -connect 151.101.0.223:443", "What changed lately"]) {
      assert.ok(await page.getByText(text).first().isVisible(), text);
    }
    assert.equal(await page.locator("button, #filter, #live").count(), 0, "nothing that would not work");
    await page.locator("#seen-21 > summary").click();
    assert.ok(await page.getByText("the other side reset without having sent a byte").first().isVisible());
    await page.locator("#seen-21").locator("xpath=ancestor::tbody").getByRole("link").first().click();
    assert.match(await page.textContent("h1"), /pypi\.org:443/);
    assert.deepEqual(complaints, []);
    await close();
  }],

  ["the filter finds by host, status, cause and scenario", async (browser) => {
    const { page, complaints, close } = await opened(browser, address);
    await page.keyboard.press("/");
    assert.equal(await page.evaluate(() => document.activeElement.id), "filter");
    for (const [words, expected] of [["pypi.org", 1], ["fail", 10], ["tls_sni_blocked", 4], ["packages", 6], ["fail packages conda", 2], ["nobody", 0]]) {
      await page.fill("#filter", words);
      assert.equal(await rows(page), expected, words);
    }
    assert.ok(await page.locator("#nothing").isVisible());
    await page.fill("#filter", "PyPI.org");
    assert.equal(await page.locator(".finding:not([hidden])").count(), 1);
    assert.match(await page.textContent("#matches"), /^1 of 30 checks$/);
    assert.match(page.url(), /filter=PyPI\.org/);
    await page.reload();
    assert.equal(await rows(page), 1, "the address keeps the filter");
    await page.focus("#filter");
    await page.keyboard.press("Escape");
    assert.equal(await rows(page), 30);
    assert.doesNotMatch(page.url(), /filter/);
    await page.keyboard.type("a/b");
    assert.equal(await page.inputValue("#filter"), "a/b", "a slash is a letter while one types");
    assert.deepEqual(complaints, []);
    await close();
  }],

  ["commands and requests copy with one click", async (browser) => {
    const { page, context, complaints, close } = await opened(browser, address);
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    const copied = () => page.evaluate(() => navigator.clipboard.readText());
    const finding = page.locator(".finding", { hasText: "A firewall filters 4 names" });
    await finding.getByRole("button", { name: "Copy: Command" }).first().click();
    assert.equal(await copied(), "openssl s_client -connect 151.101.0.223:443 -servername pypi.org </dev/null");
    assert.equal(await page.textContent("#said"), "Copied");
    await finding.getByRole("button", { name: /^Copy all/ }).click();
    assert.match(await copied(), /^A firewall filters 4 names on port 443 toward public addresses\n\n1\. Firewall team: allow these FQDNs/);
    assert.doesNotMatch(await copied(), /Copy/);
    assert.deepEqual(complaints, []);
    await close();
  }],

  ["an open page follows and keeps its place", async (browser) => {
    const { page, complaints, close } = await opened(browser, address);
    await page.waitForSelector(".live.on");
    await page.fill("#filter", "graph");
    await page.locator("tbody:not([hidden]) th a").first().focus();
    const focused = await page.evaluate(() => document.activeElement.getAttribute("href"));
    await page.locator("#group-3").evaluate((group) => { group.dataset.mark = "old"; });
    await order("healthy");
    await says(page, "Everything that was checked is reachable");
    assert.equal(await page.locator("#group-3").getAttribute("data-mark"), null, "the content is new");
    assert.equal(await rows(page), 1, "the filter stays");
    assert.equal(await page.evaluate(() => document.activeElement.getAttribute("href")), focused, "focus stays");
    assert.match(await page.textContent("#said"), /Everything that was checked is reachable/);
    assert.match(await page.title(), /^Everything that was checked is reachable/);
    await page.fill("#filter", "");
    await page.locator("#group-2 > summary").click();
    await page.locator("#cause-nothing, #rows-uncovered > summary").first().click();
    await page.locator("#group-7").scrollIntoViewIfNeeded();
    const top = await page.locator("#group-7").evaluate((e) => e.getBoundingClientRect().top);
    await order("five-faults");
    await says(page, "5 faults block");
    assert.equal(await page.locator("#group-2").evaluate((e) => e.open), false, "what was folded stays folded");
    assert.equal(await page.locator("#rows-uncovered").evaluate((e) => e.open), true, "what was open stays open");
    const now = await page.locator("#group-7").evaluate((e) => e.getBoundingClientRect().top);
    assert.ok(Math.abs(now - top) < 400, `the place stays: ${top} then ${now}`);
    assert.ok(await page.getByRole("button", { name: /^Copy all/ }).count() > 0, "new content has buttons");
    assert.deepEqual(complaints, []);
    await close();
  }],

  ["selected text waits for the update, a held page stays", async (browser) => {
    const { page, close } = await opened(browser, address);
    const held = await opened(browser, `${address}/?hold`);
    await page.waitForSelector(".live.on");
    await page.evaluate(() => getSelection().selectAllChildren(document.querySelector("#verdict")));
    const news = page.waitForResponse((answer) => answer.url().includes("events")).catch(() => {});
    await order("healthy");
    await held.page.reload();
    await says(held.page, "Everything");
    assert.match(await verdict(page), /5 faults/);
    await page.evaluate(() => getSelection().removeAllRanges());
    await says(page, "Everything");
    await order("five-faults");
    await says(page, "5 faults");
    assert.match(await verdict(held.page), /Everything/);
    assert.equal(await held.page.textContent("#live"), "Held still");
    await close();
    await news;
    await held.close();
  }],

  ["a lost connection is told and comes back", async (browser) => {
    const { page, complaints, close } = await opened(browser, address);
    await page.waitForSelector(".live.on");
    await order("stop");
    await page.waitForSelector(".live.lost");
    assert.match(await page.textContent("#live"), /^Connection lost · data is \d+ (s|min|h) old$/);
    assert.match(await page.textContent("#said"), /Connection lost/);
    await order("healthy");
    await order("start");
    await page.waitForSelector(".live.on");
    await says(page, "Everything that was checked is reachable");
    assert.deepEqual(complaints.filter((text) => !/ERR_(CONNECTION|INCOMPLETE|EMPTY)/.test(text)), []);
    await close();
    await order("five-faults");
  }],

  ["a check's page follows, too, and says when the check is gone", async (browser) => {
    const { page, complaints, close } = await opened(browser, `${address}/checks/pypi%40pypi.org%3A443`);
    await page.waitForSelector(".live.on");
    assert.match(await page.textContent(".hero .badge"), /fail/);
    await page.getByText("Last failures").waitFor();
    await order("healthy");
    await page.waitForFunction(() => document.querySelector(".hero .badge").textContent.includes("pass"));
    assert.deepEqual(complaints, []);
    await order("hostile");
    await page.getByText("This check is gone from the plan").waitFor();
    await order("five-faults");
    await page.waitForFunction(() => document.querySelector(".hero .badge").textContent.includes("fail"));
    await close();
  }],

  ["strangers' texts stay texts", async (browser) => {
    await order("hostile");
    const { page, complaints, close } = await opened(browser, `${address}/?all`);
    await page.getByText("<script>alert(1)</script>").first().waitFor();
    assert.equal(await page.locator("script").count(), 1);
    await page.fill("#filter", "\"'><script>alert(1)</script>");
    await page.fill("#filter", "");
    await page.locator("tbody th a").first().click();
    await page.waitForSelector(".hero");
    assert.equal(await page.locator("script").count(), 1);
    assert.deepEqual(complaints, []);
    await close();
    await order("five-faults");
  }],

  ["the downloaded file needs neither server nor script", async (browser) => {
    const { page, complaints, context, close } = await opened(browser, address);
    for (const [name, extension] of [["HTML", "html"], ["Markdown", "md"], ["JSON", "json"]]) {
      const [download] = await Promise.all([
        page.waitForEvent("download"),
        page.getByRole("link", { name, exact: true }).click(),
      ]);
      assert.match(download.suggestedFilename(), new RegExp(`^vnetprobe-jump-va-01-\\d{8}T\\d{6}Z\\.${extension}$`));
      if (extension === "html") {
        const file = await context.newPage();
        const asked = [];
        file.on("request", (request) => asked.push(request.url()));
        file.on("console", (message) => complaints.push(message.text()));
        const copy = `${await download.path()}.html`;
        await download.saveAs(copy);
        await file.goto(`file://${copy}`);
        assert.match(await verdict(file), /5 faults block/);
        assert.ok(await file.getByText("the other side reset without having sent a byte").first().isVisible());
        assert.deepEqual(asked.filter((url) => !url.startsWith("file:") && !url.startsWith("data:")), []);
        const dead = await file.evaluate(() => [...document.querySelectorAll("a")].filter((a) => !a.hash || !document.getElementById(decodeURIComponent(a.hash.slice(1)))).map((a) => a.outerHTML));
        assert.deepEqual(dead, [], "every link leads somewhere in the file");
      }
    }
    assert.deepEqual(complaints, []);
    await close();
  }],
]);
