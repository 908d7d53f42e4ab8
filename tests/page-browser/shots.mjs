// Pictures of the page, for people to look at: node shots.mjs ADDRESS CHECK_ID FOLDER
import { started, opened } from "./browser.mjs";
const [address, id, folder] = process.argv.slice(2);
const browser = await started();
for (const [name, path, options] of [
  ["overview", "/", { viewport: { width: 1280, height: 1960 } }],
  ["dark", "/", { colorScheme: "dark" }],
  ["phone", "/", { viewport: { width: 360, height: 780 }, deviceScaleFactor: 2, isMobile: true }],
  ["check", `/checks/${encodeURIComponent(id)}`, { viewport: { width: 1280, height: 1400 } }],
  ["check-dark", `/checks/${encodeURIComponent(id)}`, { colorScheme: "dark" }],
  ["check-phone", `/checks/${encodeURIComponent(id)}`, { viewport: { width: 360, height: 780 }, deviceScaleFactor: 2, isMobile: true }],
]) {
  const { page, close } = await opened(browser, address + path, options);
  await page.waitForTimeout(400);
  await page.screenshot({ path: `${folder}/${name}-top.png` });
  for (const place of ["findings", "checks", "changes", "failures", "seen"]) {
    const there = await page.evaluate((id) => { const e = document.getElementById(id); e?.scrollIntoView(); return !!e; }, place);
    if (there) await page.screenshot({ path: `${folder}/${name}-${place}.png` });
  }
  await close();
}
await browser.close();
