// Before the first paint: the theme that the person chose, if any.
(() => {
  try {
    const theme = localStorage.getItem('siemrelay-theme');
    if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
  } catch { /* without storage the system's theme holds */ }
  document.documentElement.classList.add('js');
})();
