<h1>Grades</h1>
<form method="get" action="/grades">
<label>Your name <input name="student" autocomplete="name" required></label>
<button>Show</button>
</form>
